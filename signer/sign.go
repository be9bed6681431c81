package signer

import (
	"bytes"
	"context"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Sign gives the signature of payload (watermark byte first, as octez sends it) under the key pkh, or says why not: a *Denial,
// a *tezos.PayloadError, a *hwm.Refusal, or what broke.
//
// The same bytes asked again get the signature that was made. ctx bounds the waiting, and carries the request's budget; once the
// device is asked the exchange is finished in any case, and a signature that comes too late is kept for the next time.
func (s *Signer) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (sig tezos.Signature, err error) {
	out := s.begin(ctx, pkh)
	defer func() { s.end(out, err) }()

	key, err := s.ring.find(pkh) // unknown: refuse
	if err != nil {
		return tezos.Signature{}, err
	}
	if tezos.IsRegistration(payload) { // no place in the chain, no mark: for allowed keys on standby only
		return s.register(ctx, key, payload, out)
	}
	req, err := tezos.Decode(pkh.Curve, payload) // odd: refuse
	if err != nil {
		return tezos.Signature{}, err
	}
	out.decoded(req)
	if err = s.allow(key, req); err != nil { // another chain, a kind that this key may not sign: refuse
		return tezos.Signature{}, err
	}
	pass, err := s.gate.enter(s.store.Role) // not active: refuse
	if err != nil {
		return tezos.Signature{}, err
	}
	defer pass.leave()
	unlock, err := key.lock(ctx, req.Kind, out) // one request at a time for a chain, key and kind
	if err != nil {
		return tezos.Signature{}, err
	}

	type answer struct {
		sig tezos.Signature
		err error
	}
	answers := make(chan answer, 1)
	payload = bytes.Clone(payload) // the caller may go, and use its bytes for something else
	pass.hold()
	s.tails.Go(func() { // goes on to its end when ctx does not: half an exchange would confuse the device
		defer pass.leave()
		defer unlock()
		sig, err := s.decideAndSign(ctx, pass, key, req, payload, out)
		answers <- answer{sig, err}
	})
	select {
	case a := <-answers:
		if a.err == nil {
			s.awake(ctx)         // after a standstill the other instance may have taken over
			a.err = pass.check() // fenced meanwhile: it does not leave
		}
		if a.err != nil {
			return tezos.Signature{}, a.err
		}
		return a.sig, nil
	case <-ctx.Done():
		return tezos.Signature{}, s.late(ctx, key, req.Kind, out)
	}
}

// decideAndSign decides, moves the mark, and while the mark goes to disk asks the device and verifies what it gave. The caller holds
// the lock of the chain, key and kind.
//
// Invariant: a signature is returned only when a record on disk forbids its repetition (its mark, or a horizon), and it verifies.
func (s *Signer) decideAndSign(
	ctx context.Context, pass *pass, key *ringKey, req tezos.Request, payload []byte, out *outcome,
) (tezos.Signature, error) {
	d, err := s.decide(key, req)
	if err != nil {
		return tezos.Signature{}, err
	}
	if d.Verdict == hwm.Replay { // needs no device
		return s.replay(key, d.Mark, payload, out)
	}
	turn, err := s.turn(ctx, key, req.Kind) // waiting costs no mark
	if err != nil {
		return tezos.Signature{}, err
	}
	defer turn.end()

	if ctx.Err() != nil {
		return tezos.Signature{}, s.late(ctx, key, req.Kind, out)
	}
	d, err = s.decide(key, req) // again: an operator may have raised the mark meanwhile
	if err != nil {
		return tezos.Signature{}, err
	}
	if d.Verdict == hwm.Replay {
		return s.replay(key, d.Mark, payload, out)
	}
	if c, ok := turn.turn.(device.Checker); ok {
		if err = c.Check(key.pkh, payload); err != nil { // the device would not be asked: no mark is spent
			return tezos.Signature{}, err
		}
	}
	var durable hwm.Pending = alreadyDurable{}
	err = pass.do(func() (err error) { // whoever ended this instance's epoch has seen the last mark move
		if d.Verdict != hwm.Advance {
			return nil
		}
		if err = s.stillUncapped(key.mark(s.chain, req.Kind)); err != nil {
			return err
		}
		// in memory now, on disk while the device works
		durable, err = s.store.Advance(key.mark(s.chain, req.Kind), hwm.MarkFor(req, s.now()))
		return err
	})
	if err != nil {
		return tezos.Signature{}, err
	}
	out.decision(d.Verdict)

	sig, err := s.ask(ctx, key, turn, req.Kind, payload, out)
	if err == nil {
		err = verify(key, turn, payload, sig) // the disk still works
	}
	if notDurable := out.timeCommit(durable.Wait); notDurable != nil { // nothing leaves
		return tezos.Signature{}, notDurable
	}
	if err != nil {
		return tezos.Signature{}, err
	}
	s.noteSigned(key, turn.name(), req)
	s.store.Keep(key.mark(s.chain, req.Kind), req.Digest, sig)
	return sig, nil
}
