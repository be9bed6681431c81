package ledger

import (
	"context"
	"errors"
	"fmt"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// turn is the exclusive use of the device.
type turn struct {
	d       *Device
	s       *session
	release func(error)
	err     error // the error that ended the session, if any
	left    bool  // the turn has lost the session: a prompt is on the screen
}

// Turn waits for the device to be connected and free. The error is an *Error.
func (d *Device) Turn(ctx context.Context) (device.Turn, error) {
	s, release, err := d.owner.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &turn{d: d, s: s, release: release}, nil
}

// Done gives the device back. While a prompt is on the screen Done does nothing: the answer to the prompt gives the
// device back.
func (t *turn) Done() {
	if !t.left {
		t.release(t.err)
	}
}

// Check refuses a payload that the app cannot sign, before a mark is spent.
func (t *turn) Check(pkh tezos.PublicKeyHash, payload []byte) error {
	key, err := t.s.find(pkh)
	if err != nil {
		return nil //nolint:nilerr // Sign says so, and has the device read again
	}
	return t.d.named(t.d.check(key, payload))
}

// Sign selects the key and sends the payload, as one exchange. A payload that the app cannot sign is refused before
// anything is sent. The answer carries the digest of the signed payload, and a signature of another payload is
// noticed. When ctx ends, Sign stops waiting for the user's answer to a delegation.
func (t *turn) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	sig, err := t.sign(ctx, pkh, payload)
	if err == nil {
		return sig, nil
	}
	err = t.d.named(err)
	t.err = err // keep an error of the turn: it may have ended the session
	if errors.Is(err, device.ErrNoKey) && statusOf(err) != StatusOK {
		// The authorised key has changed: have the device read again.
		t.err = &device.Error{Health: device.Absent, Hint: "the device is read again", Retry: true, Err: err}
	}
	return tezos.Signature{}, err
}

func (t *turn) sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	key, err := t.s.find(pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	if err = t.d.check(key, payload); err != nil {
		return tezos.Signature{}, err
	}
	// After a refused select the app would sign with the key selected before. The message is sent only after a select
	// that succeeded.
	choose := selectCommand(key.Curve, key.Path)
	out, err := t.s.call(ctx, choose)
	if err != nil {
		return tezos.Signature{}, err
	}
	if len(out) != 0 {
		return tezos.Signature{}, t.s.outOfStep(choose, badAnswer("nothing", out))
	}
	c := messageCommand(payload)
	if tezos.IsRegistration(payload) {
		out, err = t.register(ctx, c)
	} else {
		out, err = t.s.call(ctx, c)
	}
	if err != nil {
		return tezos.Signature{}, inDoubt(err)
	}
	sig, err := parseSignature(key.Curve, tezos.Digest(payload), out)
	if err != nil {
		return tezos.Signature{}, asked(t.s.outOfStep(c, err))
	}
	t.s.signed(key, payload)
	return sig, nil
}

// register sends an operation. A delegation stays on the screen until the user answers, perhaps longer than the
// request lives. A signature after the request's end reaches nobody.
func (t *turn) register(ctx context.Context, c command) ([]byte, error) {
	t.d.owner.Update(func(st *device.Status) { st.Health, st.Advice = device.Busy, advicePrompt })
	out, left, err := t.d.shown(ctx, t.s, c, t.release)
	t.left = left
	if left {
		return nil, withHint(err, adviceLate)
	}
	if after := t.d.answered(t.s, c, err); err == nil { // a registration resets the round of one of the marks
		t.err = after
	}
	return out, err
}

// find is the authorised key with an address.
func (s *session) find(pkh tezos.PublicKeyHash) (sessionKey, error) {
	for _, k := range s.keys {
		if k.pub.Hash() == pkh {
			return k, nil
		}
	}
	return sessionKey{}, &device.Error{
		Health: device.Ready, Hint: adviceKey,
		Err: fmt.Errorf("%w: %s is not authorised for baking", device.ErrNoKey, pkh),
	}
}

// inDoubt marks an error of a message after which the device may have signed. Without an answer to a whole command,
// the device may have signed. With an error answer, the device has not signed, unless the app failed after its mark
// had moved.
func inDoubt(err error) error {
	st := statusOf(err)
	if st == StatusOK && !errors.Is(err, errIncomplete) || st == StatusCrypto || st == StatusMemory || !st.known() {
		return asked(err)
	}
	return err
}

func (s Status) known() bool { return s.meaning() != Status(0).meaning() }

func withHint(err error, hint string) error {
	var de *device.Error
	if !errors.As(err, &de) {
		return err
	}
	out := *de
	out.Hint = hint
	return &out
}

// asked marks an error after which the device may have signed.
func asked(err error) error {
	var de *device.Error
	if !errors.As(err, &de) {
		return err
	}
	out := *de
	out.Asked = true
	return &out
}
