package signer

import (
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// raiseHost raises the host's marks to the device's where the device is ahead, and says so when the device should not
// have been.
func (s *Signer) raiseHost(w witnessed, known bool, m device.Mark) error {
	passed, err := s.passed(m)
	if err != nil || len(passed) == 0 {
		return err
	}
	limit, err := s.Limit(m.PKH)
	if err != nil {
		return err
	}
	if !limit.Allows(m.Level) {
		s.disbelieve(w.name, m, limit)
		return nil
	}
	interrupted, err := s.interrupted(m, passed)
	if err != nil {
		return err
	}
	if known && interrupted {
		s.log.Warn("device is one place ahead: the end of the last run interrupted a request, and no "+
			"signature left", "device", w.String(),
			"pkh", m.PKH.String(), "kind", markName(m.Kind), "level", m.Level, "round", m.Round)
	} else {
		s.suspect("device "+w.String(), known, m, passed) // before the marks are the device's
	}
	if err := s.raiseTo(m, passed, hwm.SourceDevice); err != nil {
		return err
	}
	s.log.Warn("device is ahead, marks raised", "device", w.name, "device_id", w.id, "pkh", m.PKH.String(), "kind", markName(m.Kind),
		"level", m.Level, "round", m.Round)
	return nil
}

func (s *Signer) raiseTo(m device.Mark, passed []passedMark, source hwm.Source) error {
	if len(passed) == 0 {
		return nil
	}
	at := hwm.Mark{Position: hwm.Position{Level: m.Level, Round: m.Round}, At: s.now(), Source: source}
	rows := make([]hwm.Row, 0, len(passed))
	for _, p := range passed {
		rows = append(rows, hwm.Row{Key: p.key, Mark: at})
	}
	_, err := s.store.Raise(rows)
	return err
}

// interrupted tells that a device is one place ahead: as far as a process leaves the device when killed in the middle
// of a request, with the mark not durable and the device at work. The device's mark is not beyond the level after the
// highest of the key's own marks, of any kind, and those marks are of an earlier run.
func (s *Signer) interrupted(m device.Mark, passed []passedMark) (bool, error) {
	own := int32(-1)
	for _, key := range hwm.KeysOf(s.chain, m.PKH) {
		st, err := s.store.State(key)
		if err != nil {
			return false, err
		}
		if st.Mark != nil && st.Mark.Source == hwm.SourceSigned {
			own = max(own, st.Mark.Level)
		}
	}
	for _, p := range passed {
		if p.Fresh { // this process made the mark, and was not killed
			return false, nil
		}
	}
	return own >= 0 && int64(m.Level) <= int64(own)+1, nil
}

// passed gives the marks of the host below another mark. A mark of a kind passes the host's mark of that kind. A mark
// for all kinds passes all marks of the host or none.
func (s *Signer) passed(m device.Mark) ([]passedMark, error) {
	kinds := []tezos.Kind{m.Kind}
	if m.Kind == 0 {
		kinds = tezos.Kinds
	}
	var out []passedMark
	for _, kind := range kinds {
		key := hwm.Key{Chain: s.chain, PKH: m.PKH, Kind: kind}
		st, err := s.store.State(key)
		if err != nil {
			return nil, err
		}
		if st.Mark == nil {
			continue
		}
		if st.Mark.Compare(hwm.Position{Level: m.Level, Round: m.Round}) >= 0 {
			return nil, nil
		}
		out = append(out, passedMark{key, st})
	}
	return out, nil
}
