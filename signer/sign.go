package signer

import (
	"context"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Sign gives the signature of payload (watermark byte first, as octez sends it) under the key pkh, or an error: a
// *Denial, a *tezos.PayloadError, a *hwm.Refusal, or a breakage. The same payload asked again gets the same signature.
//
// ctx bounds the waiting, and carries the request's budget. An exchange with a device is finished in any case; a
// signature that comes too late is kept for the next time.
func (s *Signer) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (sig tezos.Signature, err error) {
	out := s.book.Begin(ctx, s.chain, pkh)
	defer func() { s.book.End(out, sig, err) }()

	if tezos.IsRegistration(payload) { // no level, no mark: only on standby, and only with a key that may register
		return s.register(ctx, pkh, payload, out)
	}
	r, err := s.admit(ctx, pkh, payload, out)
	if err != nil {
		return tezos.Signature{}, err
	}
	defer r.pass.Leave()

	answers := make(chan answer, 1)
	r.pass.Hold()
	s.tails.Go(func() { // runs to its end when ctx ends: half an exchange would confuse the device
		defer r.done()
		sig, err := s.finish(ctx, r)
		answers <- answer{sig, err}
	})
	select {
	case a := <-answers:
		if a.err == nil {
			s.awake(ctx)           // after a standstill the other instance may have taken over: ask it
			a.err = r.pass.Check() // fenced meanwhile: the signature does not leave
		}
		if a.err != nil {
			return tezos.Signature{}, a.err
		}
		return a.sig, nil
	case <-ctx.Done():
		return tezos.Signature{}, s.late(ctx, r)
	}
}

// finish decides, moves the mark, and asks the device while the mark goes to the disk. The caller holds the lock of the
// request's chain, key and kind.
//
// Invariant: finish returns a signature only when the signature verifies, and a record on disk forbids another one: the
// mark, or a horizon.
func (s *Signer) finish(ctx context.Context, r *request) (tezos.Signature, error) {
	d, err := s.decide(r)
	if err != nil || d.Verdict == hwm.Replay { // refused, or signed before: no device is needed
		return d.Mark.Signature, err
	}
	if err = s.within(ctx, r, d.Verdict); err != nil { // the right to sign may reach the level in a moment
		return tezos.Signature{}, err
	}
	turn, err := s.borrow(ctx, r) // waiting for a device spends no mark
	if err != nil {
		return tezos.Signature{}, err
	}
	defer turn.end()
	d, err = s.decide(r) // again: an operator may have raised the mark during the wait
	if err != nil || d.Verdict == hwm.Replay {
		return d.Mark.Signature, err
	}
	if err = turn.check(r); err != nil { // the device would refuse: no mark is spent
		r.out.Spared()
		return tezos.Signature{}, err
	}
	durable, err := s.moveMark(r, d.Verdict) // in memory now, to the disk while the device works
	if err != nil {
		return tezos.Signature{}, err
	}
	sig, wrong := s.askAndVerify(ctx, r, turn)
	if err = r.out.TimeCommit(durable.Wait); err != nil { // not on the disk: nothing leaves
		return tezos.Signature{}, err
	}
	if wrong != nil {
		return tezos.Signature{}, wrong
	}
	s.keep(r, turn, sig)
	return sig, nil
}
