// Package history keeps the latest levels of each key and kind in memory, for the eyes of an operator.
package history

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"highwater/internal/tezos"
)

// Bounds of the memory: some 3 MiB when every series is full.
const (
	Levels    = 200     // levels kept for each key and kind
	maxSeries = 100 * 3 // three kinds of 100 keys
	queued    = 1024    // records on their way
)

// State is the end of the requests at a level.
type State uint8

// States, the least telling first. At one level a more telling state stays.
const (
	None     State = iota // no request
	Fenced                // refused: this instance does not sign
	Refused               // by another decision
	Failed                // without a decision
	Replayed              // a kept signature was given again
	Signed
	Conflict // other bytes were asked for at a place that was signed
)

// States lists the states with their words, in the order of a legend.
var States = []State{Signed, Replayed, Refused, Conflict, Failed, Fenced, None}

var words = [...]string{"no request", "not the signer", "refused", "failed", "replayed", "signed", "conflict"}

func (s State) String() string { return words[s] }

// MarshalText gives the word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the word.
func (s *State) UnmarshalText(text []byte) error {
	i := slices.Index(words[:], string(text))
	if i < 0 {
		return fmt.Errorf("%.40q is no state of a level", text)
	}
	*s = State(i) //nolint:gosec // an index of words
	return nil
}

// given tells whether a signature was given.
func (s State) given() bool { return s == Signed || s == Replayed || s == Conflict }

// Record is the end of one request.
type Record struct {
	PKH    tezos.PublicKeyHash
	Kind   tezos.Kind
	Level  int32
	Round  int32
	State  State
	Reason string // one word of the signer; empty for a signature
	At     time.Time
	Took   time.Duration // of the whole request
	Device time.Duration // of Took, the device
	Disk   time.Duration // of Took, waited for the disk after the device
}

// slot is a record without its series.
type slot struct {
	at                 int64 // unix, milliseconds
	reason             string
	level, round       int32
	took, device, disk uint32 // microseconds
	state              State
}

type series struct {
	slots [Levels]slot // a level is in the slot of its remainder
	told  time.Time
}

type name struct {
	pkh  tezos.PublicKeyHash
	kind tezos.Kind
}

// History keeps records. Tell queues, and Run takes from the queue: a request waits for nothing here.
type History struct {
	queue chan Record
	lost  atomic.Uint64

	mu     sync.Mutex // of Run and Read
	series map[name]*series
}

// New makes an empty history. Records are kept while Run runs.
func New() *History {
	return &History{queue: make(chan Record, queued), series: map[name]*series{}}
}

// Tell hands a record over, and never waits: a record that finds the queue full is counted as lost.
func (h *History) Tell(r Record) {
	select {
	case h.queue <- r:
	default:
		h.lost.Add(1)
	}
}

// Lost counts the records that found the queue full.
func (h *History) Lost() uint64 { return h.lost.Load() }

// Run keeps the records of the queue until ctx ends.
func (h *History) Run(ctx context.Context) {
	for {
		select {
		case r := <-h.queue:
			h.keep(r)
		case <-ctx.Done():
			return
		}
	}
}

func (h *History) keep(r Record) {
	if r.Level < 0 || r.State == None {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := name{r.PKH, r.Kind}
	s, ok := h.series[n]
	if !ok {
		h.makeRoom()
		s = &series{}
		h.series[n] = s
	}
	s.told = r.At
	at := &s.slots[r.Level%Levels]
	if at.yields(r) {
		*at = slot{
			at: r.At.UnixMilli(), reason: r.Reason, level: r.Level, round: r.Round, state: r.State,
			took: micros(r.Took), device: micros(r.Device), disk: micros(r.Disk),
		}
	}
}

// makeRoom drops the series without a record for the longest, if the history is full. The caller holds the lock.
func (h *History) makeRoom() {
	if len(h.series) < maxSeries {
		return
	}
	var oldest name
	var told time.Time
	for n, s := range h.series {
		if told.IsZero() || s.told.Before(told) {
			oldest, told = n, s.told
		}
	}
	delete(h.series, oldest)
}

// yields tells whether a record takes the place. At one level a more telling state stays. A signature yields to a
// higher level only, of a signature or near. Every other state yields to every level: an absurd level of a refused
// request keeps nothing out.
func (s *slot) yields(r Record) bool {
	if s.level == r.Level {
		return r.State >= s.state
	}
	return r.Level > s.level && (r.State.given() || int64(r.Level)-int64(s.level) <= 2*Levels) || !s.state.given()
}

func micros(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 0), math.MaxUint32))
}
