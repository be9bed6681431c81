package failover

import (
	"slices"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/signer"
)

// marks reads and makes the marks and ceilings of our chain. The state is in the store.
type marks struct {
	store  Store
	signer *signer.Signer
	now    func() time.Time
}

// rows are all marks of our chain.
func (m marks) rows() ([]hwm.Row, error) {
	rows, err := m.store.Rows()
	return m.ofChain(rows), err
}

func (m marks) ofChain(rows []hwm.Row) []hwm.Row {
	return slices.DeleteFunc(rows, func(r hwm.Row) bool { return r.Chain != m.signer.Chain() })
}

// durable gives all marks of our chain, once the disk has each mark.
func (m marks) durable() ([]wire.Mark, error) {
	rows, err := m.rows()
	if err != nil {
		return nil, err
	}
	if _, err := m.store.Raise(nil); err != nil { // returns when everything in memory is durable
		return nil, err
	}
	return toWireMarks(rows)
}

// told gives the marks for the peer: the durable marks, or the known marks while the disk fails.
func (m marks) told() ([]wire.Mark, error) {
	if m.store.Healthy() == nil {
		return m.durable()
	}
	return toWireMarks(m.ofChain(m.store.Known()))
}

func toWireMarks(rows []hwm.Row) ([]wire.Mark, error) {
	out := []wire.Mark{}
	for _, r := range rows {
		out = append(out, wire.Mark{PKH: r.PKH, Kind: r.Kind, Level: r.Level, Round: r.Round, Source: r.Source.Told()})
	}
	if len(out) > wire.MaxMarks {
		return nil, wire.Refuse(wire.Broken, "a pair holds some ten thousand keys at most",
			"%d marks are more than a message can hold", len(out))
	}
	return out, nil
}

// highest is the highest level of all marks of our chain; -1 without a mark.
func (m marks) highest() (int32, error) {
	rows, err := m.rows()
	if err != nil {
		return 0, err
	}
	highest := int32(-1)
	for _, r := range rows {
		highest = max(highest, r.Level)
	}
	return highest, nil
}

// highestNear is highest without the marks too far above the head of our node: nothing was signed at a far mark, and a
// far mark of one key must not stop the rest.
func (m marks) highestNear() (int32, error) {
	rows, err := m.rows()
	if err != nil {
		return 0, err
	}
	limit, err := m.signer.LimitOfAll()
	if err != nil {
		return 0, err
	}
	highest := int32(-1)
	for _, r := range rows {
		if limit.Allows(r.Level) {
			highest = max(highest, r.Level)
		}
	}
	return highest, nil
}

// behind is how many levels the marks here are behind the peer's, and how many of the peer's marks are missing here.
func (m marks) behind(theirs []wire.Mark) (levels int64, missing int, err error) {
	for _, mark := range theirs {
		st, err := m.store.State(hwm.Key{Chain: m.signer.Chain(), PKH: mark.PKH, Kind: mark.Kind})
		if err != nil {
			return 0, 0, err
		}
		if st.Mark == nil {
			missing++
			continue
		}
		levels = max(levels, int64(mark.Level)-int64(st.Mark.Level))
	}
	return levels, missing, nil
}

// floorGiven is the lowest mark of our chain, when the mark is a floor from the peer. begun: a mark is above the floor.
func (m marks) floorGiven() (level int32, begun, ok bool) {
	rows, err := m.rows()
	if err != nil || len(rows) == 0 {
		return 0, false, false
	}
	byPlace := func(a, b hwm.Row) int { return a.Compare(b.Position) }
	low, high := slices.MinFunc(rows, byPlace), slices.MaxFunc(rows, byPlace)
	return low.Level, high.Level > low.Level, low.Source == hwm.SourcePeer && low.Round == hwm.MaxRound
}

// floors are the peer's marks as floors of ours: marks without their payloads.
func (m marks) floors(theirs []wire.Mark) []hwm.Row {
	rows := make([]hwm.Row, 0, len(theirs))
	for _, mark := range theirs {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: m.signer.Chain(), PKH: mark.PKH, Kind: mark.Kind},
			Mark: hwm.Mark{Position: hwm.Position{Level: mark.Level, Round: mark.Round}, At: m.now(), Source: hwm.SourcePeer},
		})
	}
	return rows
}

// levelFloors raise the keys of a certificate by level. Some of the keys may be unknown here.
func (m marks) levelFloors(c *wire.Certificate) []hwm.Row {
	rows := make([]hwm.Row, 0, len(c.Marks))
	for _, mark := range c.Marks {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: c.Chain, PKH: mark.PKH, Kind: mark.Kind},
			Mark: hwm.Floor(*c.Level, m.now(), hwm.SourcePeer),
		})
	}
	return rows
}

// takeoverFloors covers all known keys, and all keys with a mark.
func (m marks) takeoverFloors(level int32) []hwm.Row {
	floors := m.signer.Floors(level, hwm.SourceTakeover)
	rows, err := m.rows()
	if err != nil {
		return floors // the next write fails on the same store
	}
	for _, r := range rows {
		floors = append(floors, hwm.Row{Key: r.Key, Mark: hwm.Floor(level, m.now(), hwm.SourceTakeover)})
	}
	return floors
}

// believed leaves out the peer's marks further ahead than anything on our chain can be, and raises an alarm: a far mark
// moves no mark here, and nothing was signed for our chain at a far mark. A mark at or below a mark here is no news at
// any level.
func (m marks) believed(theirs []wire.Mark) ([]wire.Mark, error) {
	out := make([]wire.Mark, 0, len(theirs))
	for _, mark := range theirs {
		err := m.tooFar(mark)
		if err != nil && !signer.Refused(err) {
			return nil, err
		}
		if err == nil {
			out = append(out, mark)
			continue
		}
		m.signer.RaiseOtherChain(witnessPeer, mark.PKH,
			"the peer: "+err.Error()+". The mark is not taken: did a device of the peer sign for another chain?",
			"look at the marks on the peer's machine: highwater hwm list. "+hints.Of(err))
	}
	return out, nil
}

// tooFar refuses a mark of the peer above the far limit of a mark here. An error that is no refusal: nobody can tell.
func (m marks) tooFar(mark wire.Mark) error {
	key := hwm.Key{Chain: m.signer.Chain(), PKH: mark.PKH, Kind: mark.Kind}
	want := hwm.Position{Level: mark.Level, Round: mark.Round}
	st, err := m.store.State(key)
	if err != nil || st.Mark != nil && st.Mark.Compare(want) >= 0 {
		return err
	}
	limit, err := m.signer.Limit(mark.PKH)
	if err == nil && !limit.Known() { // a key without a mark here
		limit, err = m.signer.LimitOfAll()
	}
	if err != nil {
		return err
	}
	return limit.Check(key, want)
}
