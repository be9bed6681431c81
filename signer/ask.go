package signer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// maxAsks is how often one request's bytes may reach a device: once, and once more when the answer was lost.
const maxAsks = 2

// ask asks the device for the signature. A fault is absorbed: wait for the device to return, or for the spare, and ask again
// for the same bytes, within the request's budget.
func (s *Signer) ask(
	ctx context.Context, key *ringKey, turn *heldTurn, kind tezos.Kind, payload []byte, out *outcome,
) (tezos.Signature, error) {
	asked := 0
	for {
		start := time.Now()
		out.reached(StageDevice, turn.name())
		sig, err := turn.turn.Sign(context.WithoutCancel(ctx), key.pkh, payload)
		out.device(turn.name(), time.Since(start))
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
		s.log.Warn("device fault, asking again", "device", turn.name(), "error", err)
		again, turnErr := s.turn(ctx, key, kind)
		if turnErr != nil {
			return tezos.Signature{}, errors.Join(err, turnErr)
		}
		*turn = *again
	}
}

// verify checks what a device gave, over exactly the requested bytes.
func verify(key *ringKey, turn *heldTurn, payload []byte, sig tezos.Signature) error {
	if err := key.public().Verify(payload, sig); err != nil {
		return wrongSignature(key, turn.name(), payload, sig, err)
	}
	return nil
}

// WrongSignatureError says that a device answered with something that is not a signature of what it was asked for.
type WrongSignatureError struct {
	PKH    tezos.PublicKeyHash
	Device string
	Scheme string // of a BLS signature that is good in a scheme that Octez does not take; else empty
	Err    error
}

// wrongSignature is the error of a device's signature that did not verify; err says why.
func wrongSignature(key *ringKey, device string, payload []byte, sig tezos.Signature, err error) error {
	return &WrongSignatureError{PKH: key.pkh, Device: device, Scheme: key.public().OtherScheme(payload, sig), Err: err}
}

func (e *WrongSignatureError) Error() string {
	if e.Scheme != "" {
		return fmt.Sprintf("device %s answered with a signature for %s in the %s BLS scheme, which Octez does not take: %v",
			e.Device, e.PKH, e.Scheme, e.Err)
	}
	return fmt.Sprintf("device %s answered with a wrong signature for %s: %v", e.Device, e.PKH, e.Err)
}

// Unwrap gives the cause.
func (e *WrongSignatureError) Unwrap() error { return e.Err }

// HintText is what to do, where something is known.
func (e *WrongSignatureError) HintText() string {
	if e.Scheme != "" {
		return "bake with this key on a device that signs as Octez does: a TezSign, for tz4"
	}
	return ""
}
