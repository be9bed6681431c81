package signer

import (
	"context"
	"errors"
	"slices"
	"time"

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

// askAndVerify gives a verified signature of the request, or an error.
func (s *Signer) askAndVerify(ctx context.Context, r *request, turn *heldTurn) (tezos.Signature, error) {
	awaited := r.key.Public().Await(r.payload) // half of the verification, while the device works
	sig, err := s.ask(ctx, r, turn)
	if err != nil {
		return tezos.Signature{}, err
	}
	if err = verify(r.key, turn, awaited, sig); err != nil {
		return tezos.Signature{}, err
	}
	return sig, nil
}

// maxAsks is how often the bytes of one request may reach a device: once, and once more after a lost answer.
const maxAsks = 2

// ask asks the device for a signature. After a fault of the device ask waits for the device to return, or for the spare, and asks again
// for the same bytes, within the request's budget. Each turn is given back.
func (s *Signer) ask(ctx context.Context, r *request, turn *heldTurn) (tezos.Signature, error) {
	asked := 0
	for {
		start := time.Now()
		r.out.Reached(StageDevice, turn.name())
		sig, err := turn.turn.Sign(context.WithoutCancel(ctx), r.key.PKH, r.payload)
		r.out.Device(turn.name(), time.Since(start))
		var de *device.Error
		if err == nil || !errors.As(err, &de) || !de.Retry {
			turn.end()
			return sig, err
		}
		if de.Asked {
			asked++
		}
		turn.end()
		if asked >= maxAsks || ctx.Err() != nil {
			return tezos.Signature{}, err
		}
		name, fault := turn.name(), err
		r.out.Note(func() { s.log.Warn("device fault, asking again", "device", name, "error", fault) })
		again, turnErr := s.turn(ctx, r.key, r.Kind)
		if turnErr != nil {
			return tezos.Signature{}, errors.Join(err, turnErr)
		}
		*turn = *again
	}
}

// verify checks a device's signature, over exactly the requested bytes. The error is a *WrongSignatureError.
func verify(key *keyring.Key, turn *heldTurn, awaited *tezos.Awaited, sig tezos.Signature) error {
	if err := awaited.Verify(sig); err != nil {
		return &WrongSignatureError{PKH: key.PKH, Device: turn.name(), Scheme: awaited.OtherScheme(sig), Err: err}
	}
	return nil
}
