package signer

import (
	"context"
	"errors"
	"fmt"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Denial is a decision not to sign that has nothing to do with marks. It is not a breakage.
type Denial struct {
	Reason string // one of the constants below
	Text   string
	Hint   string
}

// Reasons of denials. Those of marks are hwm.Reason.
const (
	UnknownKey = "unknown_key"
	NotActive  = "not_active"
	WrongChain = "wrong_chain"
	WrongKind  = "wrong_kind"
)

func (d *Denial) Error() string { return d.Text }

// HintText is what to do.
func (d *Denial) HintText() string { return d.Hint }

// SlowDisk is the reason of a request that the device signed in time, and whose mark did not reach the disk in time.
const SlowDisk = "slow_disk"

// Stage is how far a request has come.
type Stage uint8

// The stages.
const (
	StageQueue  Stage = iota // it waits for its turn
	StageDevice              // the device was asked
	StageDisk                // the device has answered, and the mark is not on disk yet
)

// TimeoutError says that a request's budget ran out, and where; or that its client went away.
type TimeoutError struct {
	PKH    tezos.PublicKeyHash
	Gone   bool   // the client went away
	Stage  Stage  // of the request; when it was behind another one of its kind, of that one
	Behind bool   // it was behind another one of its kind
	Device string // empty: none was asked
}

func (e *TimeoutError) Error() string {
	if e.Gone {
		return "the client went away before the signature was there"
	}
	text := fmt.Sprintf("no signature of %s within the request's time: ", e.PKH)
	if e.Behind {
		text += "another request of this kind was before it, of which "
	}
	switch e.Stage {
	case StageDisk:
		return text + "the device has signed, and the watermark is not on the disk yet"
	case StageDevice:
		return text + "device " + e.Device + " was asked, and has not answered"
	case StageQueue:
	}
	return text + "the turn at the device had not come"
}

// HintText is what to do.
func (e *TimeoutError) HintText() string {
	if e.Stage == StageDisk {
		return "the disk of the state directory is too busy or too slow, and not the device: highwater check measures it, highwater_commit_seconds " +
			"shows it; with `ahead` in [store] signatures do not wait for it"
	}
	return "look at the device: highwater status"
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

// ReasonOf is the one word for why a request got no signature: for logs and metrics. It is empty for nil.
func ReasonOf(err error) string {
	if err == nil {
		return "" // most of the time, and what follows is not for nothing: errors.As has its targets on the heap
	}
	var (
		denial  *Denial
		refusal *hwm.Refusal
		payload *tezos.PayloadError
		late    *TimeoutError
		wrong   *WrongSignatureError
		dev     *device.Error
	)
	switch {
	case errors.As(err, &denial):
		return denial.Reason
	case errors.As(err, &refusal):
		return string(refusal.Reason)
	case errors.As(err, &payload):
		return "bad_payload"
	case errors.As(err, &wrong):
		return "wrong_signature"
	case errors.Is(err, device.ErrRefused):
		return "device_refused"
	case errors.As(err, &dev):
		return "device_" + string(dev.Health)
	case errors.As(err, &late) && late.Stage == StageDisk && !late.Gone:
		return SlowDisk
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "timeout"
	case errors.Is(err, hwm.ErrMoved):
		return string(hwm.NotAbove)
	default:
		return "store"
	}
}

// Refused tells whether err is a decision rather than a breakage.
func Refused(err error) bool {
	var denial *Denial
	return errors.Is(err, hwm.ErrRefused) || errors.Is(err, tezos.ErrPayload) || errors.As(err, &denial) ||
		errors.Is(err, hwm.ErrMoved)
}
