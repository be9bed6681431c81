package device

import (
	"context"

	"highwater/internal/tezos"
)

// Turn is the exclusive use of one connected device, from Acquire to Done.
type Turn interface {
	// Sign asks the device for a signature of payload with the key pkh. The exchange obeys the driver's own time-out,
	// not ctx's end, because half an exchange would desynchronise the device. ctx carries values only, and a deadline
	// as a hint. When the device asks its user, Sign returns at the end of ctx, and the device stays taken until the
	// user has answered. Sign does not verify the signature. The error is an *Error.
	Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error)
	// Done gives the device back, after which the device is opened anew if the turn's last Sign broke the session.
	// Done is called exactly once.
	Done()
}

// Checker is a Turn that refuses some payloads before anything reaches the device. Check is asked before a mark is
// spent on a payload.
type Checker interface {
	// Check returns the *Error with which Sign would refuse, or nil.
	Check(pkh tezos.PublicKeyHash, payload []byte) error
}

// Reconciler compares a device's own marks with the host's. A driver calls a Reconciler at each (re)connection, and
// after each unlocking, while no other user can use the device.
type Reconciler interface {
	// Reconcile takes the device's reported marks. Reconcile raises the host's marks where the device is ahead, and
	// returns the levels up to which the device may be raised (Kind zero: all kinds): the device can still sign every
	// payload that the host would have signed. alarm is empty, or one line when the device went backwards since the
	// last look. An error means that the host could not record the marks: the device must not be used.
	Reconcile(ctx context.Context, id string, marks []Mark) (raise []Mark, alarm string, err error)
}

// MarkSetter is a Reconciler that learns when an operator sets a device's marks by a command of ours.
type MarkSetter interface {
	// SetMarks records, durably, that an operator has set the device's marks to marks. Lower marks are no fall, and
	// higher marks are no sign of another signer: the host's marks are raised to the device's. The driver calls
	// SetMarks before the marks are compared again. An error means that the host could not record the marks.
	SetMarks(id string, marks []Mark) error
}

// Standing is the position of a device's own mark of a key relative to the host's.
type Standing struct {
	PKH tezos.PublicKeyHash `json:"pkh"`
	// Level is the device's own mark, the highest of the kinds; -1: no mark is shown.
	Level int32 `json:"level"`
	// Allowed is the level up to which the mark may be raised; -1 when the host has no mark for the key.
	Allowed int32 `json:"allowed"`
	Raised  bool  `json:"raised"` // the mark was below Allowed, and is at Allowed now
	// Why is empty, or the reason why the mark is still below. With a reason, Command is the command to run, and
	// Screen lists the device's screens in their order.
	Why     string   `json:"why,omitempty"`
	Command string   `json:"command,omitempty"`
	Screen  []string `json:"screen,omitempty"`
}

// Raiser is a device with own marks that can be compared with the host's between connections, too.
type Raiser interface {
	// RaiseMarks compares the device's marks with the host's now, as a (re)connection does, and raises marks where no
	// user is needed. No signature is made with the device meanwhile. The error is an *Error.
	RaiseMarks(ctx context.Context) ([]Standing, error)
}
