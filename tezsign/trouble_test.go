package tezsign_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign"
	"highwater/tezsign/tezsignsim"
)

// TestLevelsOfTrouble: two keys sign through replugging, power cycles, a hung program and lost answers, with a host
// that asks once more for the same bytes. The gadget's simulator records every rule that is broken: two signatures
// for one mark, a torn header, an unlock of an unlocked key, a used id, a second request in flight.
func TestLevelsOfTrouble(t *testing.T) {
	for seed := range uint64(3) {
		bubble(t, func(t *testing.T) { trouble(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

func trouble(t *testing.T, random *rand.Rand) {
	const levels = 40
	sim := newSim(t, tezsignsim.Options{
		Serial: "ts-1", Keys: []string{"consensus", "companion"}, Passphrase: "secret",
		Latency: 5 * time.Millisecond, DeriveCost: 300 * time.Millisecond,
	})
	l := startWith(t, sim, &reconciler{}, withSecret)
	l.health(device.Ready)
	ctx, cancel := context.WithCancel(t.Context())
	var chaos, signers sync.WaitGroup
	chaos.Go(func() { disturb(ctx, t, sim, random) })
	var mu sync.Mutex
	signed, lost := 0, 0
	for alias, kinds := range map[string][]tezos.Kind{
		"consensus": {tezos.Block, tezos.Preattestation, tezos.Attestation}, "companion": {tezos.Attestation},
	} {
		signers.Go(func() {
			for level := range int32(levels) {
				for _, kind := range kinds {
					err := l.insist(alias, payload(kind, level+1, 0, byte(level)))
					mu.Lock()
					if err == nil {
						signed++
					} else {
						lost++
					}
					mu.Unlock()
				}
				pause(6 * time.Second)
			}
		})
	}
	signers.Wait()
	cancel()
	chaos.Wait()
	require.Equal(t, 4*levels, signed+lost)
	require.Greater(t, signed, 4*levels*3/4, "lost %d", lost)
	require.Empty(t, sim.Violations())
}

// insist asks as the signer does: once more for the same bytes when the device may come back.
func (l *lab) insist(alias string, p []byte) error {
	k := l.key(alias)
	ctx, cancel := context.WithTimeout(l.t.Context(), 10*time.Second)
	defer cancel()
	var err error
	for range 2 {
		var turn device.Turn
		if turn, err = l.Turn(ctx); err != nil {
			return err
		}
		var sig tezos.Signature
		sig, err = turn.Sign(ctx, k.PublicKey.Hash(), p)
		turn.Done()
		if err == nil {
			return k.PublicKey.Verify(p, sig)
		}
		var de *device.Error
		if !errors.As(err, &de) || !de.Retry {
			return err
		}
	}
	return err
}

func disturb(ctx context.Context, t *testing.T, sim *tezsignsim.Gadget, random *rand.Rand) {
	between := func(low, high time.Duration) bool {
		select {
		case <-time.After(low + time.Duration(random.Int64N(int64(high-low)))):
			return true
		case <-ctx.Done():
			return false
		}
	}
	for between(2*time.Second, 15*time.Second) {
		switch random.IntN(5) {
		case 0:
			sim.Unbind()
			between(time.Millisecond, time.Second)
			sim.Bind()
		case 1:
			sim.Unplug()
			between(time.Second, 3*time.Second)
			if err := sim.Replug(); err != nil {
				t.Error(err)
			}
		case 2:
			sim.Stop()
			between(10*time.Millisecond, 7*time.Second)
			sim.Continue()
		case 3:
			sim.DropAnswers(1)
		case 4:
			m := manager(sim)
			if _, err := m.Status(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, tezsign.ErrGone) {
				t.Error(err)
			}
		}
	}
	sim.DropAnswers(0)
}
