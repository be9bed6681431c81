package signer

import (
	"context"
	"errors"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// check asks the device whether the request would be signed, where the device can tell. No mark was spent yet.
func (t *heldTurn) check(r *request) error {
	c, ok := t.turn.(device.Checker)
	if !ok {
		return nil
	}
	return c.Check(r.key.PKH, r.payload)
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

// ask asks the device for a signature. After a fault of the device ask waits for the device to return, or for the
// spare, and asks again for the same bytes, within the request's budget. Each turn is given back.
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
