package history

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"highwater/internal/tezos"
)

// Square is one level of a series; State is None where nobody asked.
type Square struct {
	Level    int32     `json:"level"`
	Round    int32     `json:"round"`
	State    State     `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	At       time.Time `json:"at,omitzero"`
	TookUS   uint32    `json:"took_us,omitempty"` // of the whole request, in microseconds
	DeviceUS uint32    `json:"device_us,omitempty"`
	DiskUS   uint32    `json:"disk_us,omitempty"`
	// Missed: the key had the right, and the chain shows neither its block nor its attestation.
	Missed bool `json:"missed,omitempty"`
}

// Series are the latest levels of a key and kind, the lowest first and without a gap; at most Levels.
type Series struct {
	PKH     tezos.PublicKeyHash `json:"pkh"`
	Kind    tezos.Kind          `json:"kind"`
	Squares []Square            `json:"squares"`
	Latency Latency             `json:"latency"`
}

// Latency sums up the signatures of a series, replays left out.
type Latency struct {
	Signatures int     `json:"signatures"`
	P50US      uint32  `json:"p50_us"`
	P99US      uint32  `json:"p99_us"`
	Device     float64 `json:"device"` // share of the device in the time of all signatures, 0 to 1
	Disk       float64 `json:"disk"`   // share of the disk
}

// Read gives the first series by key and kind, at most a number of them (0: all), and counts the series left out. A
// series grows as far as its missed rights, and a key that nobody asked for has a series of them. Missed may be nil.
func (h *History) Read(missed Missed, most int) (all []Series, left int) {
	for _, levels := range missed {
		slices.Sort(levels)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	names := slices.Collect(maps.Keys(h.series))
	for n := range missed {
		if h.series[n] == nil {
			names = append(names, n)
		}
	}
	slices.SortFunc(names, inOrder)
	if most > 0 && len(names) > most {
		names, left = names[:most], len(names)-most
	}
	all = make([]Series, 0, len(names))
	for _, n := range names {
		s := h.series[n]
		if s == nil {
			s = &series{}
		}
		squares := s.squares(missed[n])
		all = append(all, Series{PKH: n.pkh, Kind: n.kind, Squares: squares, Latency: latency(squares)})
	}
	return all, left
}

// inOrder puts names by key and kind.
func inOrder(a, b name) int {
	return cmp.Or(a.pkh.Compare(b.pkh), cmp.Compare(a.kind, b.kind))
}

// At gives a level of a series, as far as the level is kept; its State is None otherwise.
func (h *History) At(pkh tezos.PublicKeyHash, kind tezos.Kind, level int32) Square {
	h.mu.Lock()
	defer h.mu.Unlock()
	s, ok := h.series[name{pkh, kind}]
	if !ok || level < 0 {
		return Square{Level: level}
	}
	return s.square(level)
}

// square is a level; None where nobody asked.
func (s *series) square(level int32) Square {
	at := &s.slots[level%Levels]
	if at.level != level || at.state == None {
		return Square{Level: level}
	}
	return Square{
		Level: level, Round: at.round, State: at.state, Reason: at.reason, At: time.UnixMilli(at.at).UTC(),
		TookUS: at.took, DeviceUS: at.device, DiskUS: at.disk,
	}
}

// newest is the highest level with a signature, else the highest asked level.
func (s *series) newest() int32 {
	signed, asked := int32(-1), int32(-1)
	for i := range s.slots {
		at := &s.slots[i]
		if at.state.given() {
			signed = max(signed, at.level)
		}
		if at.state != None {
			asked = max(asked, at.level)
		}
	}
	if signed >= 0 && asked-signed >= Levels {
		return signed // a refused request for an absurd level moves nothing
	}
	return asked
}

// squares are the levels from the first that somebody asked for, or that was missed, to the newest. The missed levels
// are sorted.
func (s *series) squares(missed []int32) []Square {
	w := window{0, -1}
	if to := s.newest(); to >= 0 {
		w = window{s.oldest(to), to}
	}
	for _, level := range missed {
		w = w.with(level)
	}
	out := make([]Square, 0, w.to-w.from+1)
	for level := w.from; level <= w.to; level++ {
		q := s.square(level)
		_, q.Missed = slices.BinarySearch(missed, level)
		out = append(out, q)
	}
	return out
}

// oldest is the lowest asked level of the Levels up to to.
func (s *series) oldest(to int32) int32 {
	oldest := to
	for i := range s.slots {
		if at := &s.slots[i]; at.state != None && at.level > to-Levels && at.level <= to {
			oldest = min(oldest, at.level)
		}
	}
	return oldest
}

func latency(squares []Square) (l Latency) {
	var times []uint32
	var all, device, disk float64
	for _, q := range squares {
		if q.State != Signed {
			continue
		}
		times = append(times, q.TookUS)
		all, device, disk = all+float64(q.TookUS), device+float64(q.DeviceUS), disk+float64(q.DiskUS)
	}
	if len(times) == 0 {
		return l
	}
	slices.Sort(times)
	l.Signatures, l.P50US, l.P99US = len(times), rank(times, 50), rank(times, 99)
	if all > 0 {
		l.Device, l.Disk = min(device/all, 1), min(disk/all, 1)
	}
	return l
}

// rank is the nearest-rank percentile of sorted times.
func rank(sorted []uint32, percent int) uint32 {
	return sorted[(len(sorted)*percent+99)/100-1]
}
