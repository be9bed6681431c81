package signer

import (
	"context"
	"errors"

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
