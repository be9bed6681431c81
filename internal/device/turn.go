package device

import (
	"context"

	"highwater/internal/tezos"
)

// Turn is the exclusive use of one connected device, from Acquire to Done.
type Turn interface {
	// Sign asks the device for a signature of payload with the key pkh. The exchange obeys the driver's own time-out, not
	// ctx's end: half an exchange would desynchronise the device; ctx carries values only, and a deadline that is a hint. Where the
	// device asks its user, Sign returns when ctx ends, and the device stays taken until the user has answered.
	// The signature is not verified here. The error is an *Error.
	Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error)
	// Done gives the device back. A turn whose last Sign broke the session has it opened anew. It is called exactly once.
	Done()
}

// Checker is a Turn that knows of payloads that it would refuse before anything reaches the device. It is asked before a mark is spent on one.
type Checker interface {
	// Check gives the *Error with which Sign would refuse, or nil.
	Check(pkh tezos.PublicKeyHash, payload []byte) error
}

// Reconciler compares a device's own marks with the host's. A driver calls it at each (re)connection, and after each unlocking,
// while nobody else can use the device.
type Reconciler interface {
	// Reconcile takes what the device holds and reports. It raises the host's marks where the device is ahead, and returns
	// what the device may be raised to (Kind zero: all kinds), so that nothing that the host would still have it sign is lost; and an
	// alarm, empty or one line, when the device went backwards since it was last seen. An error means that the host could not
	// record: the device must not be used.
	Reconcile(ctx context.Context, id string, marks []Mark) (raise []Mark, alarm string, err error)
}

// MarkSetter is a Reconciler that can be told of an operator's own hand: a command of ours sets a device's marks.
type MarkSetter interface {
	// SetMarks is told, durably, that the marks of the device are these from now on because an operator wanted that. Lower ones are no
	// fall, and higher ones no sign of another signer: the host's marks are raised to them. It is called before the marks are compared
	// again. An error means that the host could not record.
	SetMarks(id string, marks []Mark) error
}

// Standing is how a device's own mark of a key stands to the host's.
type Standing struct {
	PKH tezos.PublicKeyHash `json:"pkh"`
	// Level is the device's own mark, the highest of the kinds; -1 when it shows none.
	Level int32 `json:"level"`
	// Allowed is what it may be raised to; -1 when the host has no mark to raise it to.
	Allowed int32 `json:"allowed"`
	Raised  bool  `json:"raised"` // it was below, and is there now
	// Why is empty, or says why it is still below: then Command is what to do, and Screen the device's screens in their order.
	Why     string   `json:"why,omitempty"`
	Command string   `json:"command,omitempty"`
	Screen  []string `json:"screen,omitempty"`
}

// Raiser is a device whose own marks can be compared with the host's between connections, too.
type Raiser interface {
	// RaiseMarks has them compared now, as a (re)connection does, and raises what can be raised unattended. Nobody signs with the
	// device meanwhile. The error is an *Error.
	RaiseMarks(ctx context.Context) ([]Standing, error)
}
