package failover

import (
	"fmt"
	"math"
	"sync"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
)

// Margins of a takeover: levels without a signer, so nothing signed by the peer is signed again.
const (
	// Margin is above all known levels, when little is known: a minute without a signature.
	Margin = 10
	// MinMargin is above the chain's head at the time of the operator's statement that the peer cannot sign, and the
	// least margin that an operator may choose. MinMargin is enough when the head was fresh and our keys were silent:
	// the peer's last signature is at most one level above the head of the peer's node, and the node was at most two
	// blocks ahead of ours.
	MinMargin = 3
	// MaxMargin bounds an operator's choice.
	MaxMargin = 1000
)

const (
	// enoughSilence is how many silent levels make MinMargin enough.
	enoughSilence = 3
	// freshHead is the age of the head of a node at most two blocks behind, by this machine's clock. A clock with a
	// larger error leads to Margin.
	freshHead = 15 * time.Second
	// repeated is the longest time between two repetitions of a statement; a later repetition is a new statement.
	repeated = 30 * time.Second
)

// statement is an operator's statement that the peer cannot sign.
type statement struct {
	mu   sync.Mutex
	made *madeStatement // nil: no statement stands
}

type madeStatement struct {
	head  int32     // of the chain, at the time of the statement
	epoch uint64    // of this side
	last  time.Time // of the last repetition
}

// end ends a statement.
func (s *statement) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made = nil
}

// head gives the chain's head at the time of the statement. An operator waiting for evidence repeats the statement all
// the while. Nil: the statement was not made, is not true, or no head was known. Another epoch: the right moved since.
func (s *statement) head(r TakeoverRequest, alive bool, h *chain.Head, epoch uint64, now time.Time) *int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != nil && (alive || s.made.epoch != epoch || now.Sub(s.made.last).Abs() > repeated) {
		s.made = nil
	}
	if !r.CannotSign || alive {
		return nil
	}
	if s.made == nil {
		if h == nil || h.Age.Abs() > freshHead {
			return nil
		}
		s.made = &madeStatement{head: h.Level, epoch: epoch}
	}
	s.made.last = now
	head := s.made.head
	return &head
}

// floor is above every possible signature of the peer. stated is the head at the time of the statement, if known.
func (n *Node) floor(t *Takeover, s *chain.Silence, r TakeoverRequest, stated *int32) error {
	known, err := n.highestKnown(s, r)
	if err != nil {
		return err
	}
	level, what, margin := known.level, known.what, int32(Margin)
	t.guarded = margin
	switch {
	case r.Margin != nil:
		margin, t.guarded = *r.Margin, *r.Margin
	// else the peer's node was further ahead
	case stated != nil && s != nil && s.Silent >= enoughSilence && known.signed <= *stated+MinMargin:
		level, what, margin = *stated, "the chain's head at the time of the statement", MinMargin
		t.guarded = 0 // no level of the margin is surely free
	}
	if level > math.MaxInt32-margin || level < 0 {
		return wire.Refuse(wire.BadLevel, "set the marks first: highwater hwm set", "no level is known to start from")
	}
	t.Floor, t.Reason = level+margin, fmt.Sprintf("%d, %s, and a margin of %d", level, what, margin)
	return nil
}

// farHead finds a mistyped head: the floor above the head would be durable, and nothing up to the floor could be signed
// any more. The levels in the peer's messages are known too.
func (n *Node) farHead(r TakeoverRequest) []checklist.Line {
	if r.Head == nil {
		return nil
	}
	limit, err := n.signer.LimitOfAll()
	if said := n.highestSaid(); said >= 0 {
		limit = limit.Or(n.now(), hwm.Known{Level: said, At: n.now()})
	}
	if err != nil || limit.Allows(*r.Head) { // an error of the limit is an error of the floor, too
		return nil
	}
	result := checklist.Bad
	if r.Far {
		result = checklist.Warning
	}
	return []checklist.Line{checklist.New(checklist.Head, result,
		fmt.Sprintf("the stated level %d is %s", *r.Head,
			limit.Distance(*r.Head)), "look at the level again; if the level is right: --far")}
}

// known is the highest known level of all, and the highest level with a signature or a set mark.
type known struct {
	level, signed int32
	what          string
}

func (n *Node) highestKnown(s *chain.Silence, r TakeoverRequest) (known, error) {
	level, err := n.marks.HighestNear()
	if err != nil {
		return known{}, err
	}
	k := known{level: level, what: "the highest mark here"}
	if followed := n.highestSaid(); followed > k.level {
		k.level, k.what = followed, "the highest mark of the peer"
	}
	k.signed = k.level
	if s != nil {
		k.signed = max(k.signed, s.LastOwn)
	}
	if r.Head != nil && *r.Head > k.level {
		k.level, k.what = *r.Head, "the operator's stated head"
	}
	if s != nil && s.Head > k.level {
		k.level, k.what = s.Head, "the chain's head"
	}
	if s != nil && s.LastOwn > k.level {
		k.level, k.what = s.LastOwn, "the last operation of ours on chain"
	}
	return k, nil
}

// highestSaid is the highest level of the peer's believed marks; -1 without such a mark.
func (n *Node) highestSaid() int32 {
	highest := int32(-1)
	said := n.heard.State().Said
	if said == nil || said.Status == nil {
		return highest
	}
	for _, m := range said.Status.Marks {
		if n.marks.TooFar(m) == nil {
			highest = max(highest, m.Level)
		}
	}
	return highest
}
