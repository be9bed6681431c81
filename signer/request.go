package signer

import (
	"context"
	"errors"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer/gate"
	"highwater/signer/keyring"
	"highwater/signer/outcome"
)

// request is a question for a signature, from its admission to its end.
type request struct {
	tezos.Request // the decoded payload

	key     *keyring.Key
	mark    hwm.Key // the mark that decides, and moves
	payload []byte  // our own copy: the caller may go, and reuse its bytes
	pass    *gate.Pass
	lock    *keyring.KindLock
	out     *outcome.Record
}

// answer is the end of a request, on its way from finish to Sign.
type answer struct {
	sig tezos.Signature
	err error
}

// done lets the next request of the same chain, key and kind in, and counts this request out of the gate.
func (r *request) done() {
	r.lock.Unlock()
	r.pass.Leave()
	r.out.Tell()
}

// decide looks the request's mark up and applies the rule. A refusal is an error. The decision to replay carries a
// signature that was verified once more: the store's content may come from elsewhere. Beside an error the decision is
// empty.
func (s *Signer) decide(r *request) (hwm.Decision, error) {
	state, err := s.store.State(r.mark)
	if err != nil {
		return hwm.Decision{}, err
	}
	r.out.Found(state.Mark)
	if err = s.uncapped(state); err != nil {
		return hwm.Decision{}, err
	}
	if state.Limit, err = s.limitFor(r.mark, state, r.Level); err != nil {
		return hwm.Decision{}, err
	}
	d := hwm.Decide(state, r.key.PKH.Curve, r.Request)
	switch d.Verdict {
	case hwm.Advance, hwm.Resume:
		return d, nil
	case hwm.Replay:
		if err = r.key.Public().Verify(r.payload, d.Mark.Signature); err != nil {
			return hwm.Decision{}, &WrongSignatureError{PKH: r.key.PKH, Device: "store", Err: err}
		}
		r.out.Decision(hwm.Replay)
		return d, nil
	default:
		return hwm.Decision{}, hwm.NewRefusal(r.mark, state, r.Request, d)
	}
}

// within waits for the right to reach a request, for as long as the request has. A level that no extension is under way
// for is not waited for: a client must not keep other requests out.
func (s *Signer) within(ctx context.Context, r *request, v hwm.Verdict) error {
	for {
		changed := s.changes.Wait()
		err := s.mayNow(r.key.PKH, r.Request, v)
		if err == nil || ReasonOf(err) != AboveHorizon || !s.comesSoon(r.Level) {
			return err
		}
		r.out.Reached(StageRight, "")
		s.right.Wanted()
		select {
		case <-changed:
		case <-ctx.Done():
			return err
		}
		r.out.Reached(StageQueue, "")
	}
}

// borrow waits for a turn at a device that can sign the request. Where the budget ends at the same moment the turn is
// given back.
func (s *Signer) borrow(ctx context.Context, r *request) (*heldTurn, error) {
	turn, err := s.turn(ctx, r.key, r.Kind)
	if err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		turn.end()
		return nil, s.late(ctx, r)
	}
	return turn, nil
}

// moveMark moves the mark in memory, and queues the mark for the disk. A resumed request's mark is where it belongs.
func (s *Signer) moveMark(r *request, v hwm.Verdict) (hwm.Pending, error) {
	var durable hwm.Pending = alreadyDurable{}
	err := r.pass.Do(func() (err error) { // after the end of an epoch no mark moves
		if err = s.mayNow(r.key.PKH, r.Request, v); err != nil { // nor is a device asked without the right
			return err
		}
		if v != hwm.Advance {
			return nil
		}
		if err = s.stillUncapped(r.mark); err != nil {
			return err
		}
		durable, err = s.store.Advance(r.mark, hwm.MarkFor(r.Request, s.now()))
		return err
	})
	if err != nil {
		return nil, err
	}
	r.out.Decision(v)
	return durable, nil
}

// alreadyDurable stands for the mark of a resumed request: before the request's lock was free the mark was on disk, or
// the store poisoned.
type alreadyDurable struct{}

func (alreadyDurable) Wait() error { return nil }

// keep remembers a verified signature for the same request asked again, and notes the device.
func (s *Signer) keep(r *request, turn *heldTurn, sig tezos.Signature) {
	if changed := s.signed.Note(turn.name(), r.key.PKH, r.Kind,
		hwm.Position{Level: r.Level, Round: r.Round}); changed != nil {
		s.store.NoteSigned(changed) // before the signature is kept
	}
	s.store.Keep(r.mark, r.Digest, sig)
}

// late explains where the budget of a request was spent: in the sync of the disk, at a device that does not answer,
// or in its queue.
func (s *Signer) late(ctx context.Context, r *request) error {
	stage, device := r.out.Where()
	e := &TimeoutError{PKH: r.key.PKH, Gone: errors.Is(ctx.Err(), context.Canceled), Stage: stage, Device: device}
	if e.Gone || stage == StageDisk {
		return e
	}
	if stage == StageRight {
		if err := s.mayNow(r.key.PKH, r.Request, hwm.Undecided); err != nil {
			return err
		}
		return e
	}
	if candidates := r.key.Candidates(s.devices); s.firstUsable(candidates, r.key.PKH, r.Kind) == nil {
		return s.unavailable(r.key, candidates, r.Kind)
	}
	return e
}
