package operate

import (
	"errors"
	"fmt"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// Reasons of this package's refusals.
const (
	BadRequest    = "bad_request"    // the request itself is wrong
	AlreadyActive = "already_active" // an activation with a level, at an active instance
	NoIdentity    = "no_identity"    // the instance's key is not open in this process
	NoDevices     = "no_devices"     // the devices are not open in this process
	DeviceFailed  = "device_failed"  // a device, or its driver, failed an act
	Broken        = wire.Broken      // without a decision; the text tells the fault
)

// Refusal declines a request. Nothing was changed.
type Refusal struct {
	Reason string // a constant above
	Text   string
	Hint   string // may be empty
}

func (r *Refusal) Error() string { return r.Text }

// HintText is the advice.
func (r *Refusal) HintText() string { return r.Hint }

func badRequest(format string, args ...any) error {
	return &Refusal{Reason: BadRequest, Text: fmt.Sprintf(format, args...)}
}

// Reasoned is an error with a reason of its own, such as an error from the admin socket.
type Reasoned interface {
	error
	ReasonWord() string
}

// ReasonOf is the reason of an admin error in one word, the same in the daemon and beyond the socket: a constant of
// this package, of hwm, signer, store or failover/wire. Broken: no type of the error has a reason. Empty for nil.
func ReasonOf(err error) string {
	var (
		own      *Refusal
		mark     *hwm.Refusal
		denial   *signer.Denial
		pair     *wire.Refusal
		reasoned Reasoned
	)
	switch {
	case err == nil:
		return ""
	case errors.As(err, &own):
		return own.Reason
	case errors.As(err, &mark):
		return string(mark.Reason)
	case errors.As(err, &denial):
		return denial.Reason
	case errors.As(err, &pair):
		return pair.Reason
	case errors.As(err, &reasoned):
		return reasoned.ReasonWord()
	}
	if word := signer.ReasonOf(err); word != signer.StoreFails {
		return word
	}
	return Broken
}
