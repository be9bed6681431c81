package tezsign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/tezsign/frame"
	pb "highwater/tezsign/tezsignpb"
)

// turn is the exclusive use of the gadget.
type turn struct {
	d       *Device
	link    *link
	release func(error)
	err     error // the error that broke the session, if any
}

var _ device.Turn = (*turn)(nil)

// Done gives the gadget back.
func (t *turn) Done() { t.release(t.err) }

// Sign asks the gadget for one signature. When an earlier request for the same bytes has lost its answer, and the
// answer came late, Sign returns the late signature: the gadget would refuse to sign the bytes twice.
func (t *turn) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	sig, err := t.sign(ctx, pkh, payload)
	var de *device.Error
	if errors.As(err, &de) && de.Retry {
		t.err = err // keep an error of the turn: the session is not to be used again
	}
	return sig, err
}

func (t *turn) sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	if err := t.check(payload); err != nil {
		return tezos.Signature{}, err
	}
	key, err := t.usableKey(ctx, pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	want := lateKey{pkh, tezos.Digest(payload)}
	if sig, ok := t.rescued(key, payload, want, t.d.late.find); ok {
		return sig, nil
	}
	raw, err := t.ask(ctx, key, want, payload)
	if err == nil {
		return t.signature(raw)
	}
	var re *RemoteError
	if !errors.As(err, &re) {
		return tezos.Signature{}, t.broken(err)
	}
	refusal := t.refused(key, re)
	if re.Code == CodeStale {
		wait := func(k lateKey) ([]byte, bool) { return t.d.late.wait(ctx, k), true }
		if sig, ok := t.rescued(key, payload, want, wait); ok {
			return sig, nil
		}
		if sig, ok := t.stray(ctx, key, payload); ok {
			return sig, nil
		}
		t.err = t.compareAgain(ctx, pkh)
	}
	return tezos.Signature{}, refusal
}

func (t *turn) signature(raw []byte) (tezos.Signature, error) {
	sig, err := tezos.NewSignature(tezos.BLS12381, raw)
	if err != nil {
		return tezos.Signature{}, t.fail(device.Broken, "check the gadget's version", true, err)
	}
	return sig, nil
}

// check is the driver's own check of the payload: a well-formed consensus payload for a tz4 key, on the configured
// chain. The gadget itself checks only level and round, and knows no chain.
func (t *turn) check(payload []byte) error {
	req, err := tezos.Decode(tezos.BLS12381, payload)
	if err == nil && req.Chain != t.d.cfg.Chain {
		err = fmt.Errorf("the payload is for the chain %s, the gadget is used for %s", req.Chain, t.d.cfg.Chain)
	}
	if err != nil {
		return &device.Error{Device: t.d.cfg.Name, Health: device.Ready, Err: fmt.Errorf("%w: %w", device.ErrRefused, err)}
	}
	return nil
}

// usableKey finds the key. A key last seen locked is read again: an operator may have unlocked the key.
func (t *turn) usableKey(ctx context.Context, pkh tezos.PublicKeyHash) (*KeyState, error) {
	key := t.link.find(pkh)
	if key == nil || key.usable() != "" || !t.link.reconciled[pkh] {
		if err := t.d.refresh(ctx, t.link); err != nil {
			return nil, t.d.fault(err)
		}
		if err := t.d.reconcile(ctx, t.link); err != nil {
			var de *device.Error
			if errors.As(err, &de) {
				return nil, de
			}
			return nil, t.d.fault(err)
		}
		t.d.owner.Refresh()
		key = t.link.find(pkh)
	}
	switch {
	case key == nil:
		return nil, t.fail(device.Ready, "", false, fmt.Errorf("%s: %w", pkh, device.ErrNoKey))
	case key.Corrupted:
		const hint = "the gadget lost its watermark for this key: see highwater tezsign set-level "
		return nil, t.fail(device.Broken, hint+key.Alias, false, fmt.Errorf("key %s: %w", key.Alias, ErrCorrupted))
	case key.Lost:
		return nil, t.fail(device.Broken, lostState, false, fmt.Errorf("key %s: %w", key.Alias, ErrCorrupted))
	case key.Locked && t.link.restarted && t.unlocks(key): // a new session unlocks the key
		de := t.fail(device.Locked, "highwater tezsign unlock "+key.Alias, false,
			fmt.Errorf("key %s is locked: the gadget was restarted", key.Alias))
		de.Retry = true
		return nil, de
	case key.Locked:
		return nil, t.fail(device.Locked, "highwater tezsign unlock "+key.Alias, false,
			fmt.Errorf("key %s is locked", key.Alias))
	case key.Fault != "":
		return nil, t.fail(device.Broken, "", false, errors.New(key.Fault))
	}
	return key, nil
}

// ask does the exchange. A request with an unknown fate is remembered: its answer may come to the next session.
func (t *turn) ask(ctx context.Context, key *KeyState, want lateKey, payload []byte) ([]byte, error) {
	req := &pb.Request{Body: &pb.Request_Sign{Sign: &pb.Sign{Tz4: key.PKH.String(), Message: payload}}}
	id := frame.NewID()
	t.d.late.expect(id, want)
	resp, err := t.link.session.doAs(ctx, id, callSign, req)
	var le *linkError
	if !errors.As(err, &le) || !le.written {
		t.d.late.forget(id)
	}
	if err != nil {
		return nil, err
	}
	t.link.signed[key.PKH] = true
	return resp.GetSign().GetSignature(), nil
}

// rescued returns the late signature for exactly these bytes, if a late signature verifies.
func (t *turn) rescued(
	key *KeyState, payload []byte, want lateKey, look func(lateKey) ([]byte, bool),
) (tezos.Signature, bool) {
	raw, _ := look(want)
	if raw == nil {
		return tezos.Signature{}, false
	}
	sig, err := tezos.NewSignature(tezos.BLS12381, raw)
	if err == nil {
		err = key.PublicKey.Verify(payload, sig)
	}
	if err != nil {
		t.d.cfg.Log.Warn("late answer does not verify", "device", t.d.cfg.Name, "alias", key.Alias, "error", err)
		return tezos.Signature{}, false
	}
	t.d.cfg.Log.Info("late answer used", "device", t.d.cfg.Name, "alias", key.Alias)
	return sig, true
}

// compareAgain compares the marks of a key at once after the gadget has refused a request as stale: another program
// may have moved the marks. The refusal stands in any case; an error ends the session.
func (t *turn) compareAgain(ctx context.Context, pkh tezos.PublicKeyHash) error {
	delete(t.link.reconciled, pkh)
	err := t.d.refresh(ctx, t.link)
	if err == nil {
		err = t.d.reconcile(ctx, t.link)
	}
	t.d.owner.Refresh()
	return err
}

// stray returns a signature requested by an earlier process that has ended since, if the signature is of exactly
// these bytes with this key. A BLS signature depends on nothing but key and bytes: the gadget would make the same
// signature.
func (t *turn) stray(ctx context.Context, key *KeyState, payload []byte) (tezos.Signature, bool) {
	verifies := func(raw []byte) bool {
		sig, err := tezos.NewSignature(tezos.BLS12381, raw)
		return err == nil && key.PublicKey.Verify(payload, sig) == nil
	}
	raw := t.d.late.stray(ctx, verifies, !t.link.signed[key.PKH] && time.Since(t.link.since) < signWait)
	if raw == nil {
		return tezos.Signature{}, false
	}
	sig, err := tezos.NewSignature(tezos.BLS12381, raw)
	if err != nil {
		return tezos.Signature{}, false
	}
	t.d.cfg.Log.Info("answer to an earlier process used", "device", t.d.cfg.Name, "alias", key.Alias)
	return sig, true
}

// broken is the error of an exchange without an end: the owner opens the session anew.
func (t *turn) broken(err error) error {
	de := t.d.fault(err)
	var le *linkError
	de.Asked = !errors.As(err, &le) || le.written
	return de
}

// refused is the error of the gadget's own refusal. The session goes on.
func (t *turn) refused(key *KeyState, re *RemoteError) error {
	unlock := "highwater tezsign unlock " + key.Alias
	switch re.Code {
	case CodeStale:
		return t.fail(device.Ready, "the gadget has signed at the same level and round, or above, before", true,
			fmt.Errorf("%w: %w", device.ErrRefused, re))
	case CodeBadPayload:
		return t.fail(device.Ready, "", false, fmt.Errorf("%w: %w", device.ErrRefused, re))
	case CodeKeyLocked:
		t.locked(key)
		return t.fail(device.Locked, unlock, false, fmt.Errorf("key %s is locked (%w)", key.Alias, re))
	case CodeKeyNotFound:
		// The gadget does not know a key that was unlocked: the gadget's program was restarted, and has only locked
		// keys.
		t.locked(key)
		de := t.fail(device.Locked, unlock, false,
			fmt.Errorf("key %s is locked: the gadget was restarted (%w)", key.Alias, re))
		de.Retry = t.unlocks(key)
		return de
	case CodeSign:
		key.Corrupted = true
		t.changed()
		const hint = "the gadget cannot keep its watermark for this key: see highwater tezsign set-level "
		return t.fail(device.Broken, hint+key.Alias, true, re)
	default:
		return t.fail(device.Broken, "", true, re)
	}
}

// unlocks tells whether the next connection unlocks the key without an operator.
func (t *turn) unlocks(key *KeyState) bool {
	return t.d.cfg.Passphrase != nil && !t.d.wasRefused(key.Alias)
}

func (t *turn) locked(key *KeyState) {
	key.Locked, key.Marks = true, nil
	delete(t.link.reconciled, key.PKH)
	t.changed()
}

func (t *turn) changed() {
	t.d.publish(t.link)
	t.d.owner.Refresh()
}

func (t *turn) fail(h device.Health, hint string, asked bool, err error) *device.Error {
	return &device.Error{Device: t.d.cfg.Name, Health: h, Hint: hint, Asked: asked, Err: err}
}
