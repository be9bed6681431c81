package signer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/signer/signertest"
)

var errInjected = errors.New("injected")

// faults fails one call, the at-th of all that are counted.
type faults struct {
	mu    sync.Mutex
	at    int
	calls int
	where string // the call that failed; empty: none has yet
}

// hit counts a call, and tells whether it is the one.
func (f *faults) hit(where string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if f.calls-1 != f.at {
		return false
	}
	f.where = where
	return true
}

// faultyStore fails where faults say. A failed Wait is a failed commit: from then on the store is poisoned, as the
// contract has it.
type faultyStore struct {
	signer.Store
	f        *faults
	mu       sync.Mutex
	poisoned bool
}

func (s *faultyStore) usable() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.poisoned {
		return errInjected
	}
	return nil
}

func (s *faultyStore) State(key hwm.Key) (hwm.State, error) {
	if err := s.usable(); err != nil || s.f.hit("state") {
		return hwm.State{}, errors.Join(err, errInjected)
	}
	return s.Store.State(key)
}

func (s *faultyStore) Advance(key hwm.Key, mark hwm.Mark) (hwm.Pending, error) {
	if err := s.usable(); err != nil || s.f.hit("advance") {
		return nil, errors.Join(err, errInjected)
	}
	p, err := s.Store.Advance(key, mark)
	if err != nil {
		return nil, err
	}
	return faultyPending{s, p}, nil
}

type faultyPending struct {
	s *faultyStore
	p hwm.Pending
}

func (p faultyPending) Wait() error {
	err := p.p.Wait()
	if p.s.f.hit("wait") {
		p.s.mu.Lock()
		p.s.poisoned = true
		p.s.mu.Unlock()
		return errInjected
	}
	return err
}

// faultyDevice fails where faults say: a turn, before the device has seen the payload, or after it has signed.
type faultyDevice struct {
	*signertest.Device
	f     *faults
	retry bool
}

func (d faultyDevice) fail(asked bool) error {
	return &device.Error{Device: d.Name(), Health: device.Ready, Retry: d.retry, Asked: asked, Err: errInjected}
}

func (d faultyDevice) Turn(ctx context.Context) (device.Turn, error) {
	if d.f.hit("turn") {
		return nil, d.fail(false)
	}
	t, err := d.Device.Turn(ctx)
	if err != nil {
		return nil, err
	}
	return faultyTurn{d, t}, nil
}

type faultyTurn struct {
	d faultyDevice
	device.Turn
}

func (t faultyTurn) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	if t.d.f.hit("before signing") {
		return tezos.Signature{}, t.d.fail(false)
	}
	sig, err := t.Turn.Sign(ctx, pkh, payload)
	if err == nil && t.d.f.hit("answer lost") {
		return tezos.Signature{}, t.d.fail(true)
	}
	if err == nil && t.d.f.hit("answer torn") {
		raw := sig.Bytes()
		raw[len(raw)/2] ^= 1
		return tezos.NewSignature(sig.Curve(), raw)
	}
	return sig, err
}

// The i-th call of device or store fails, i = 0, 1, 2 …, until a run has none left to fail. In each run a baker asks
// for what a baker asks, repeats what failed, and starts the signer anew in the middle.
func TestEveryCallFailsOnce(t *testing.T) {
	for _, retry := range []bool{false, true} {
		curve := map[bool]tezos.Curve{false: tezos.Secp256k1, true: tezos.Ed25519}[retry]
		t.Run(fmt.Sprintf("%s, absorbed %t", curve, retry), func(t *testing.T) {
			seen := map[string]int{}
			for i := 0; ; i++ {
				where, absorbed := faultRun(t, curve, i, retry)
				if where == "" {
					require.Greater(t, i, 20, "the run has hardly any calls")
					break
				}
				seen[where]++
				mayAbsorb := retry && (where == "before signing" || where == "answer lost")
				require.Equal(t, mayAbsorb, absorbed, "call %d (%s)", i, where)
			}
			for _, where := range []string{"state", "advance", "wait", "turn", "before signing", "answer lost", "answer torn"} {
				require.Positive(t, seen[where], "no %s was ever failed", where)
			}
		})
	}
}

// faultRun fails call i. It tells which that was, and whether no answer showed it.
func faultRun(t *testing.T, curve tezos.Curve, i int, retry bool) (where string, absorbed bool) {
	f := &faults{at: -1}
	var faulty *faultyStore
	r := newRig(t, curve, func(c *signer.Config) {
		faulty = &faultyStore{Store: c.Store, f: f}
		c.Store = faulty
		fake, ok := c.Devices[0].(*signertest.Device)
		require.True(t, ok)
		c.Devices = []signer.Device{faultyDevice{fake, f, retry}}
	})
	defer r.stop()
	f.mu.Lock()
	f.at, f.calls = i, 0
	f.mu.Unlock()

	var list signertest.Released
	shown := false
	ask := func(payload []byte) bool {
		sig, err := r.sign(payload)
		if err == nil {
			list.Add(t, r.key.PublicKey(), payload, sig)
			return true
		}
		require.Zero(t, sig)
		shown = shown || errors.Is(err, errInjected) || signer.ReasonOf(err) == "wrong_signature"
		return false
	}
	for level := int32(20); level < 23; level++ {
		for _, kind := range []tezos.Kind{tezos.Block, tezos.Attestation} {
			ask(r.payload(kind, level, 0, 1))
			ask(r.payload(kind, level, 0, 1))
			require.False(t, ask(r.payload(kind, level, 0, 2)), "other bytes")
		}
		if level == 21 || faulty.usable() != nil { // poisoned: an operator restarts it
			r.restart()
			ask(r.payload(tezos.Block, level, 0, 2))
			ask(r.payload(tezos.Block, level, 0, 1))
		}
	}
	require.True(t, ask(r.payload(tezos.Block, 30, 0, 1)) || f.calls > i, "it never signs again")
	return f.where, f.where != "" && !shown
}
