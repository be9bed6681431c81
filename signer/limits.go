package signer

import (
	"highwater/hwm"
	"highwater/internal/tezos"
)

// limitFor is how far a request may move a mark. Head and marks are in memory: nobody is asked. The key's further
// marks count only when the head is not known and the mark itself does not let the request through.
func (s *Signer) limitFor(mark hwm.Key, state hwm.State, level int32) (hwm.Limit, error) {
	if state.Mark == nil {
		return hwm.Limit{}, nil
	}
	now, head := s.now(), s.head()
	l := hwm.NewLimit(now, head, *state.Mark)
	if head != nil || l.Allows(level) {
		return l, nil
	}
	return s.Limit(mark.PKH)
}

// Limit is how far a key's marks may be moved: by the node's head, or where none is known by the key's own marks.
func (s *Signer) Limit(pkh tezos.PublicKeyHash) (hwm.Limit, error) {
	head := s.head()
	if head != nil {
		return hwm.NewLimit(s.now(), head), nil
	}
	var marks []hwm.Mark
	for _, key := range hwm.KeysOf(s.chain, pkh) {
		st, err := s.store.State(key)
		if err != nil {
			return hwm.Limit{}, err
		}
		if st.Mark != nil {
			marks = append(marks, *st.Mark)
		}
	}
	return hwm.NewLimit(s.now(), nil, marks...), nil
}

// Reached is the level that the chain may have reached, for advice; 0 where nobody can tell.
func (s *Signer) Reached() int64 {
	limit, err := s.LimitOfAll()
	if err != nil {
		return 0 // the request itself meets the error of the store
	}
	return limit.Reached()
}

// LimitOfAll is how far an operator may move marks without a word more: by the node's head, or where none is known by
// all marks.
func (s *Signer) LimitOfAll() (hwm.Limit, error) {
	rows, err := s.store.Rows()
	if err != nil {
		return hwm.Limit{}, err
	}
	var marks []hwm.Mark
	for _, r := range rows {
		if r.Chain == s.chain {
			marks = append(marks, r.Mark)
		}
	}
	return hwm.NewLimit(s.now(), s.head(), marks...), nil
}

// uncapped refuses a key that a cut-over by level forgot: in another owner's epoch a key without a ceiling does not
// sign.
func (s *Signer) uncapped(state hwm.State) error {
	if s.capped.Load() && state.Ceiling == nil {
		return &Denial{
			Reason: NotActive, Text: "the right to sign moves to the peer at a level, and the key has no ceiling at " +
				"that level",
			Hint: "see: highwater status",
		}
	}
	return nil
}

// stillUncapped looks again as a mark is about to move: a cut-over may have come after the decision. The caller is in
// Pass.Do.
func (s *Signer) stillUncapped(mark hwm.Key) error {
	if !s.capped.Load() {
		return nil
	}
	state, err := s.store.State(mark)
	if err != nil {
		return err
	}
	return s.uncapped(state)
}
