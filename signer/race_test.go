package signer_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

// 100 ask for different payloads at one level and round: exactly one wins, 1,000 times.
func TestOneWins(t *testing.T) {
	const askers, rounds = 100, 1000
	r := newRig(t, tezos.Ed25519)
	for round := range int32(rounds) {
		var (
			all     sync.WaitGroup
			mu      sync.Mutex
			won     [][]byte
			reasons = map[string]int{}
			start   = make(chan struct{})
		)
		for i := range askers {
			payload := r.payload(tezos.Block, 100+round/4, round%4, byte(i))
			all.Go(func() {
				<-start
				_, err := r.s.Sign(t.Context(), r.pkh(), payload)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					won = append(won, payload)
				} else {
					reasons[signer.ReasonOf(err)]++
				}
			})
		}
		close(start)
		all.Wait()
		require.Len(t, won, 1)
		require.Equal(t, map[string]int{"conflict": askers - 1}, reasons)
		asks := r.device.Asks()
		require.Len(t, asks, int(round)+1)
		require.Equal(t, won[0], asks[round])
	}
}

// Many ask for the same bytes at once: all get the same signature, which the device made once.
func TestSameBytesAtOnce(t *testing.T) {
	r := newRig(t, tezos.P256)
	for level := int32(20); level < 40; level++ {
		var all sync.WaitGroup
		var list signertest.Released
		for range 20 {
			all.Go(func() {
				payload := r.payload(tezos.Attestation, level, 0, 1)
				sig, err := r.s.Sign(t.Context(), r.pkh(), payload)
				if err != nil {
					t.Error(err)
					return
				}
				list.Add(t, r.key.PublicKey(), payload, sig)
			})
		}
		all.Wait()
		require.Len(t, list.All(), 20)
	}
	require.Len(t, r.device.Asks(), 20)
}

// Requests, operators and role changes, all at the same time. What is released is checked by the naive list, in the
// order of release.
func TestEverythingAtOnce(t *testing.T) {
	r := newRig(t, tezos.Ed25519)
	var all sync.WaitGroup
	var mu sync.Mutex
	best := map[tezos.Kind]map[hwm.Position]tezos.Signature{}
	for _, kind := range tezos.Kinds {
		best[kind] = map[hwm.Position]tezos.Signature{}
		for asker := range byte(4) {
			all.Go(func() {
				for level := int32(11); level < 100; level++ {
					sig, err := r.s.Sign(t.Context(), r.pkh(), r.payload(kind, level, 0, asker))
					if err != nil {
						continue
					}
					mu.Lock()
					old, twice := best[kind][hwm.Position{Level: level}]
					best[kind][hwm.Position{Level: level}] = sig
					mu.Unlock()
					if twice && !old.Equal(sig) {
						t.Errorf("two signatures at %d", level)
					}
				}
			})
		}
	}
	all.Go(func() {
		for level := int32(15); level < 90; level += 15 {
			if _, err := r.db.Raise([]hwm.Row{
				{Key: r.mark(tezos.Block), Mark: hwm.Floor(level, at, hwm.SourceSet)},
			}); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range 10 {
			if _, err := r.s.Stand(t.Context(), hwm.Standby, "a moment"); err != nil {
				t.Error(err)
			}
			if r.s.Active() {
				t.Error("it stands by, and is active")
			}
			if _, err := r.s.Activate(nil, "back"); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for level := int32(5); level < 60; level += 5 {
			if _, _, err := r.s.Reconcile(t.Context(), "left", []device.Mark{{PKH: r.pkh(), Level: level}}); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	r.mustSign(r.payload(tezos.Attestation, 200, 0, 1))
}
