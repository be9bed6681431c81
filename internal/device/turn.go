package device

import (
	"context"

	"highwater/internal/tezos"
)

// Turn is the exclusive use of one connected device, from Acquire to Done.
type Turn interface {
	// Sign asks the device for a signature of payload with the key pkh. The exchange obeys the driver's own time-out, not
	// ctx's end: half an exchange would desynchronise the device; ctx carries values only, and a deadline that is a hint.
	// The signature is not verified here. The error is an *Error.
	Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error)
	// Done gives the device back. A turn whose last Sign broke the session has it opened anew. It is called exactly once.
	Done()
}

// Reconciler compares a device's own marks with the host's. A driver calls it at each (re)connection, and after each unlocking,
// while nobody else can use the device.
type Reconciler interface {
	// Reconcile takes what the device holds and reports. It raises the host's marks where the device is ahead, and returns
	// what the device may be raised to (Kind zero: all kinds), never above the lowest mark of the host for that key; and an
	// alarm, empty or one line, when the device went backwards since it was last seen. An error means that the host could not
	// record: the device must not be used.
	Reconcile(ctx context.Context, id string, marks []Mark) (raise []Mark, alarm string, err error)
}
