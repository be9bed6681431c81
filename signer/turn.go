package signer

import (
	"context"
	"slices"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// heldTurn is a turn at a device. When the device fails, the turn may be changed for a turn at another device.
type heldTurn struct {
	device Device
	turn   device.Turn // nil once given back
}

func (t *heldTurn) name() string { return t.device.Name() }

func (t *heldTurn) end() {
	if t.turn != nil {
		t.turn.Done()
		t.turn = nil
	}
}

// check asks the device whether the request would be signed, where the device can tell. No mark was spent yet.
func (t *heldTurn) check(r *request) error {
	c, ok := t.turn.(device.Checker)
	if !ok {
		return nil
	}
	return c.Check(r.key.PKH, r.payload)
}

// turn waits for a ready and free device with the key: the first in the order of preference, or the spare when the
// first is not ready. Waiting obeys ctx.
func (s *Signer) turn(ctx context.Context, key *keyring.Key, kind tezos.Kind) (*heldTurn, error) {
	for {
		changed := s.changes.wait()
		candidates := key.Found(s.devices, changed)
		if d := s.firstUsable(candidates, key.PKH, kind); d != nil {
			waiting, cancel := whileReady(ctx, d, len(candidates) > 1)
			t, err := d.Turn(waiting)
			cancel()
			if err == nil {
				return &heldTurn{d, t}, nil
			}
			if ctx.Err() != nil {
				return nil, err
			}
			if len(candidates) == 1 {
				return nil, err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, s.unavailable(key, candidates, kind)
		}
	}
}

// whileReady ends a wait at a device when the device stops being ready, if a spare exists.
func whileReady(ctx context.Context, d Device, spare bool) (context.Context, context.CancelFunc) {
	if !spare {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			changed := d.Changed()
			if d.Status().Health != device.Ready {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { cancel(); <-done }
}

// firstUsable is the first device that is ready and can sign the kind with the key; nil: none.
func (s *Signer) firstUsable(candidates []Device, pkh tezos.PublicKeyHash, kind tezos.Kind) Device {
	for _, d := range candidates {
		if d.Status().Health != device.Ready {
			continue
		}
		if k, ok := keyring.On(d, pkh); ok && k.Usable == "" && slices.Contains(k.Kinds, kind) && !s.isStrange(d, pkh) {
			return d
		}
	}
	return nil
}
