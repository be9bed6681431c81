package signer

import "highwater/hwm"

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

// stillUncapped looks again as a mark is about to move: a cut-over may have come after the decision. The caller is in pass.Do.
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
