// Package refusal has the reasons why a request gets no signature, as types and in one word.
package refusal

import (
	"context"
	"errors"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Denial is a decision not to sign for a reason beside marks. A Denial is not a breakage.
type Denial struct {
	Reason string // a constant of the list below
	Text   string
	Hint   string
}

// Reasons of denials. For the reasons of marks see hwm.Reason.
const (
	UnknownKey = "unknown_key"
	NotActive  = "not_active"
	WrongChain = "wrong_chain"
	WrongKind  = "wrong_kind"
)

func (d *Denial) Error() string { return d.Text }

// HintText is the advice.
func (d *Denial) HintText() string { return d.Hint }

// StoreFails is the reason of a request without a durable mark, and of a breakage without a reason of its own.
const StoreFails = "store"

// SlowDisk is the reason of a request that the device signed in time, with a mark too late on the disk.
const SlowDisk = "slow_disk"

// FailureReasons are the words of ReasonOf for a breakage, and no decision.
var FailureReasons = []string{
	"device_" + string(device.Absent), "device_" + string(device.Locked), "device_" + string(device.WrongApp),
	"device_" + string(device.NoApp), "device_" + string(device.Busy), "device_" + string(device.Broken),
	"device_refused", "wrong_signature", SlowDisk, "timeout", StoreFails,
}

// ReasonOf says in one word why a request got no signature, for logs and metrics; empty for nil.
func ReasonOf(err error) string {
	if err == nil {
		return "" // the usual case first: the targets of errors.As cost allocations
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
		return StoreFails
	}
}

// Refused tells whether err is a decision rather than a breakage.
func Refused(err error) bool {
	var denial *Denial
	return errors.Is(err, hwm.ErrRefused) || errors.Is(err, tezos.ErrPayload) || errors.As(err, &denial) ||
		errors.Is(err, hwm.ErrMoved)
}
