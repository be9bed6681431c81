package signer

import (
	"context"

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

// turn waits for a ready and free device with the key: the first in the order of preference, or the spare when the
// first is not ready. Waiting obeys ctx.
func (s *Signer) turn(ctx context.Context, key *keyring.Key, kind tezos.Kind) (*heldTurn, error) {
	for {
		changed := s.changes.Wait()
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
