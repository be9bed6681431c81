// Package marks compares the marks and ceilings of this instance with those of its peer.
package marks

import (
	"slices"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/signer"
)

// Store keeps the marks and ceilings: see signer.Store.
type Store interface {
	Instance() hwm.InstanceID
	State(key hwm.Key) (hwm.State, error)
	Rows() ([]hwm.Row, error)
	Raise(rows []hwm.Row) ([]hwm.Change, error)
	Ceilings() map[hwm.CeilingKey]hwm.Ceiling
	Healthy() error
	// Known gives all marks of the memory, also after the disk has failed.
	Known() []hwm.Row
}

// Here reads and makes the marks and ceilings of our chain. The state is in the store.
type Here struct {
	Store  Store
	Signer *signer.Signer
	Now    func() time.Time
}

// Witness is the peer in alarms. Alarms on disk are found again by these words.
const Witness = "the other instance"

// Rows are all marks of our chain.
func (h Here) Rows() ([]hwm.Row, error) {
	rows, err := h.Store.Rows()
	return h.ofChain(rows), err
}

func (h Here) ofChain(rows []hwm.Row) []hwm.Row {
	return slices.DeleteFunc(rows, func(r hwm.Row) bool { return r.Chain != h.Signer.Chain() })
}

// Durable gives all marks of our chain, once the disk has each mark.
func (h Here) Durable() ([]wire.Mark, error) {
	rows, err := h.Rows()
	if err != nil {
		return nil, err
	}
	if _, err := h.Store.Raise(nil); err != nil { // returns when everything in memory is durable
		return nil, err
	}
	return toWire(rows)
}

// Told gives the marks for the peer: the durable marks, or the known marks while the disk fails.
func (h Here) Told() ([]wire.Mark, error) {
	if h.Store.Healthy() == nil {
		return h.Durable()
	}
	return toWire(h.ofChain(h.Store.Known()))
}

func toWire(rows []hwm.Row) ([]wire.Mark, error) {
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

// Highest is the highest level of all marks of our chain; -1 without a mark.
func (h Here) Highest() (int32, error) {
	rows, err := h.Rows()
	if err != nil {
		return 0, err
	}
	highest := int32(-1)
	for _, r := range rows {
		highest = max(highest, r.Level)
	}
	return highest, nil
}

// HighestNear is highest without the marks too far above the head of our node: nothing was signed at a far mark, and a
// far mark of one key must not stop the rest.
func (h Here) HighestNear() (int32, error) {
	rows, err := h.Rows()
	if err != nil {
		return 0, err
	}
	limit, err := h.Signer.LimitOfAll()
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

// Behind is how many levels the marks here are behind the peer's, and how many of the peer's marks are missing here.
func (h Here) Behind(theirs []wire.Mark) (levels int64, missing int, err error) {
	for _, mark := range theirs {
		st, err := h.Store.State(hwm.Key{Chain: h.Signer.Chain(), PKH: mark.PKH, Kind: mark.Kind})
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

// FloorGiven is the lowest mark of our chain, when the mark is a floor from the peer. begun: a mark is above the floor.
func (h Here) FloorGiven() (level int32, begun, ok bool) {
	rows, err := h.Rows()
	if err != nil || len(rows) == 0 {
		return 0, false, false
	}
	byPlace := func(a, b hwm.Row) int { return a.Compare(b.Position) }
	low, high := slices.MinFunc(rows, byPlace), slices.MaxFunc(rows, byPlace)
	return low.Level, high.Level > low.Level, low.Source == hwm.SourcePeer && low.Round == hwm.MaxRound
}

// Floors are the peer's marks as floors of ours: marks without their payloads.
func (h Here) Floors(theirs []wire.Mark) []hwm.Row {
	rows := make([]hwm.Row, 0, len(theirs))
	for _, mark := range theirs {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: h.Signer.Chain(), PKH: mark.PKH, Kind: mark.Kind},
			Mark: hwm.Mark{Position: hwm.Position{Level: mark.Level, Round: mark.Round}, At: h.Now(), Source: hwm.SourcePeer},
		})
	}
	return rows
}

// LevelFloors raise the keys of a certificate by level. Some of the keys may be unknown here.
func (h Here) LevelFloors(c *wire.Certificate) []hwm.Row {
	rows := make([]hwm.Row, 0, len(c.Marks))
	for _, mark := range c.Marks {
		rows = append(rows, hwm.Row{
			Key:  hwm.Key{Chain: c.Chain, PKH: mark.PKH, Kind: mark.Kind},
			Mark: hwm.Floor(*c.Level, h.Now(), hwm.SourcePeer),
		})
	}
	return rows
}

// TakeoverFloors covers all known keys, and all keys with a mark.
func (h Here) TakeoverFloors(level int32) []hwm.Row {
	floors := h.Signer.Floors(level, hwm.SourceTakeover)
	rows, err := h.Rows()
	if err != nil {
		return floors // the next write fails on the same store
	}
	for _, r := range rows {
		floors = append(floors, hwm.Row{Key: r.Key, Mark: hwm.Floor(level, h.Now(), hwm.SourceTakeover)})
	}
	return floors
}

// Believed leaves out the peer's marks further ahead than anything on our chain can be, and raises an alarm: a far mark
// moves no mark here, and nothing was signed for our chain at a far mark. A mark at or below a mark here is no news at
// any level.
func (h Here) Believed(theirs []wire.Mark) ([]wire.Mark, error) {
	out := make([]wire.Mark, 0, len(theirs))
	for _, mark := range theirs {
		err := h.TooFar(mark)
		if err != nil && !signer.Refused(err) {
			return nil, err
		}
		if err == nil {
			out = append(out, mark)
			continue
		}
		h.Signer.RaiseOtherChain(Witness, mark.PKH,
			"the peer: "+err.Error()+". The mark is not taken: did a device of the peer sign for another chain?",
			"look at the marks on the peer's machine: highwater hwm list. "+hints.Of(err))
	}
	return out, nil
}

// TooFar refuses a mark of the peer above the far limit of a mark here. An error that is no refusal: nobody can tell.
func (h Here) TooFar(mark wire.Mark) error {
	key := hwm.Key{Chain: h.Signer.Chain(), PKH: mark.PKH, Kind: mark.Kind}
	want := hwm.Position{Level: mark.Level, Round: mark.Round}
	st, err := h.Store.State(key)
	if err != nil || st.Mark != nil && st.Mark.Compare(want) >= 0 {
		return err
	}
	limit, err := h.Signer.Limit(mark.PKH)
	if err == nil && !limit.Known() { // a key without a mark here
		limit, err = h.Signer.LimitOfAll()
	}
	if err != nil {
		return err
	}
	return limit.Check(key, want)
}
