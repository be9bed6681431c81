package signer

import (
	"highwater/hwm"
	"highwater/internal/device"
	"highwater/signer/ownmarks"
)

// passedMark is a mark of the host below the mark of a witness.
type passedMark struct {
	key hwm.Key
	hwm.State
}

// passed gives the marks of the host below a device's mark. A mark of a kind passes the host's mark of that kind. A
// mark for all kinds passes all marks of the host or none.
func (s *Signer) passed(m device.Mark) ([]passedMark, error) {
	var out []passedMark
	for _, kind := range ownmarks.Kinds(m) {
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
