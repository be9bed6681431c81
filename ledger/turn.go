package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// turn is the exclusive use of the device.
type turn struct {
	d       *Device
	s       *session
	release func(error)
	err     error // that ended the session, if one did
}

// Turn waits for the device to be connected and free. The error is an *Error.
func (d *Device) Turn(ctx context.Context) (device.Turn, error) {
	s, release, err := d.owner.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &turn{d: d, s: s, release: release}, nil
}

// Done gives the device back.
func (t *turn) Done() { t.release(t.err) }

// Check refuses what the app cannot sign: no mark is spent on it.
func (t *turn) Check(pkh tezos.PublicKeyHash, payload []byte) error {
	key, err := t.s.find(pkh)
	if err != nil {
		return nil //nolint:nilerr // Sign says so, and has the device read again
	}
	if err := t.d.checkPayload(key.Curve, payload); err != nil {
		return t.d.named(err)
	}
	return nil
}

// Sign selects the key and sends the payload, as one exchange. What cannot be signed is refused before anything is sent. The answer
// carries the digest of what was signed, so that it cannot be another payload's.
func (t *turn) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	sig, err := t.sign(ctx, pkh, payload)
	if err == nil {
		return sig, nil
	}
	err = t.d.named(err)
	t.err = err
	if errors.Is(err, device.ErrNoKey) && statusOf(err) != StatusOK {
		// What is authorised has changed: have the device read again.
		t.err = &device.Error{Health: device.Absent, Hint: "the device is read again", Retry: true, Err: err}
	}
	return tezos.Signature{}, err
}

func (t *turn) sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	key, err := t.s.find(pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	if err = t.d.checkPayload(key.Curve, payload); err != nil {
		return tezos.Signature{}, err
	}
	// A refused select leaves the key selected before armed: nothing is sent unless this one was taken.
	choose := selectCommand(key.Curve, key.Path)
	out, err := t.s.call(ctx, choose)
	if err != nil {
		return tezos.Signature{}, err
	}
	if len(out) != 0 {
		return tezos.Signature{}, t.s.outOfStep(choose, badAnswer("nothing", out))
	}
	limit := t.s.limit
	if payload[0] == magicOperation {
		// A delegation is shown, and stays until the user answers.
		limit = promptLimit
		t.d.owner.Update(func(st *device.Status) { st.Health, st.Advice = device.Busy, advicePrompt })
	}
	out, err = t.s.message(ctx, limit, payload)
	if payload[0] == magicOperation {
		t.d.settle(err)
	}
	if err != nil {
		return tezos.Signature{}, err
	}
	sig, err := parseSignature(key.Curve, tezos.Digest(payload), out)
	if err != nil {
		return tezos.Signature{}, asked(t.s.outOfStep(command{name: "SIGN"}, err))
	}
	return sig, nil
}

// promptLimit bounds the prompt of a delegation, which a request waits for.
const promptLimit = 2 * time.Minute

// find is the authorised key with an address.
func (s *session) find(pkh tezos.PublicKeyHash) (sessionKey, error) {
	for _, k := range s.keys {
		if k.pub.Hash() == pkh {
			return k, nil
		}
	}
	return sessionKey{}, &device.Error{
		Health: device.Ready, Hint: "authorise the key: run `highwater ledger setup --hwm LEVEL`, or `highwater ledger authorize --key KEY`",
		Err: fmt.Errorf("%w: %s is not authorised for baking", device.ErrNoKey, pkh),
	}
}

// message sends the payload to the key that was just selected.
func (s *session) message(ctx context.Context, limit time.Duration, payload []byte) ([]byte, error) {
	c := messageCommand(payload)
	out, err := s.within(ctx, limit, c)
	if err == nil {
		return out, nil
	}
	// Without an answer to a whole command the device may have signed; with one, it has not, unless it failed after its mark had moved.
	if st := statusOf(err); st == StatusOK && !errors.Is(err, errIncomplete) || st == StatusCrypto || st == StatusMemory || !st.known() {
		err = asked(err)
	}
	return nil, err
}

func (s Status) known() bool { return s.meaning() != Status(0).meaning() }

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

// checkPayload refuses what the app cannot sign, or would sign as something else.
func (d *Device) checkPayload(curve Curve, payload []byte) error {
	switch {
	case curve == BLS12381:
		return refused(adviceTZ4, reasonTZ4)
	case len(payload) > MaxPayload:
		return refused("use another device for this key: the limit is the app's", fmt.Sprintf(
			"the payload has %d bytes, and the app takes %d", len(payload), MaxPayload))
	case len(payload) > 0 && payload[0] == magicOperation:
		if !d.cfg.AllowOperations {
			return refused("allow reveal or delegation for the key, while the role is standby",
				"operations are not sent to a baking Ledger: a reveal resets the round of its own water mark")
		}
		return nil
	}
	req, err := tezos.Decode(curve.Tezos(), payload)
	if err != nil {
		return refused("", err.Error())
	}
	if req.Level > maxLevel {
		return refused("", fmt.Sprintf("level %d, and the app takes levels from 0 to %d", req.Level, maxLevel))
	}
	return nil
}

// magicOperation is the first byte of any operation that is not a consensus one.
const magicOperation = 0x03

func refused(hint, why string) error {
	return &device.Error{Health: device.Ready, Hint: hint, Err: fmt.Errorf("%w: %s", device.ErrRefused, why)}
}
