package signer

import (
	"highwater/hwm"
	"highwater/internal/tezos"
)

// decide looks the request's mark up and applies the rule.
func (s *Signer) decide(key *ringKey, req tezos.Request) (hwm.Decision, error) {
	mark := key.mark(s.chain, req.Kind)
	state, err := s.store.State(mark)
	if err != nil {
		return hwm.Decision{}, err
	}
	if err = s.uncapped(state); err != nil {
		return hwm.Decision{}, err
	}
	if state.Limit, err = s.limitFor(mark, state, req.Level); err != nil {
		return hwm.Decision{}, err
	}
	d := hwm.Decide(state, key.pkh.Curve, req)
	if d.Verdict == hwm.Refuse || d.Verdict == hwm.Undecided {
		return d, hwm.NewRefusal(mark, state, req, d)
	}
	return d, nil
}

// replay gives the signature that is kept, once more verified: what a store holds may come from elsewhere.
func (s *Signer) replay(key *ringKey, mark hwm.Mark, payload []byte, out *outcome) (tezos.Signature, error) {
	if err := key.public().Verify(payload, mark.Signature); err != nil {
		return tezos.Signature{}, &WrongSignatureError{PKH: key.pkh, Device: "store", Err: err}
	}
	out.decision(hwm.Replay)
	return mark.Signature, nil
}

// alreadyDurable is the mark of a resumed request: it was made durable, or the store was poisoned, before the lock was free.
type alreadyDurable struct{}

func (alreadyDurable) Wait() error { return nil }
