package failover

import (
	"fmt"
	"math"
	"time"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
)

// Margins of a takeover: levels at which nobody signs, so that nothing that the other instance may have signed comes again.
const (
	// Margin is above everything that is known, when little is: a minute without a signature.
	Margin = 10
	// MinMargin is above the chain's head as it was when the operator stated that the other instance cannot sign, and the least that an
	// operator may choose. It is enough when that head was fresh and our keys were silent: what the other instance signed before
	// is at most one level above its own node's head, and that node was at most two blocks ahead of ours.
	MinMargin = 3
	// MaxMargin bounds what an operator may choose.
	MaxMargin = 1000
)

const (
	// enoughSilence is how many silent levels make MinMargin do.
	enoughSilence = 3
	// freshHead is how old the head of a node is that is at most two blocks behind, by this machine's clock. Where the clock is wrong by
	// more, Margin it is.
	freshHead = 15 * time.Second
	// repeated is how often a statement must be made again to be the same one; who comes back later states anew.
	repeated = 30 * time.Second
)

// statement is where the chain was when an operator stated that the other instance cannot sign.
type statement struct {
	head  int32
	epoch uint64    // that this side knew
	last  time.Time // when it was repeated
}

// unstate ends a statement: the other side was heard, so it lives, or did until now.
func (n *Node) unstate() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stated = nil
}

// statedAt gives the chain's head at the time of the statement, which whoever waits for evidence repeats all the while; nil when it was
// not made, is not true, or nobody could say where the chain was.
func (n *Node) statedAt(r TakeoverRequest, alive bool, h *chain.Head) *int32 {
	epoch := n.store.Role().Epoch // another one: the right moved since then
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if n.stated != nil && (alive || n.stated.epoch != epoch || now.Sub(n.stated.last).Abs() > repeated) {
		n.stated = nil
	}
	if !r.CannotSign || alive {
		return nil
	}
	if n.stated == nil {
		if h == nil || h.Age.Abs() > freshHead {
			return nil
		}
		n.stated = &statement{head: h.Level, epoch: epoch}
	}
	n.stated.last = now
	head := n.stated.head
	return &head
}

// floor is above everything that the other instance may have signed. stated is where the chain was when the statement was made, if that
// can be told.
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
	case stated != nil && s != nil && s.Silent >= enoughSilence && known.signed <= *stated+MinMargin: // else its node was further ahead
		level, what, margin = *stated, "the chain's head when it was stated", MinMargin
		t.guarded = 0 // no level of the margin is surely free
	}
	if level > math.MaxInt32-margin || level < 0 {
		return wire.Refuse(wire.BadLevel, "set the marks first: highwater hwm set", "there is no level to start from")
	}
	t.Floor, t.Reason = level+margin, fmt.Sprintf("%d, %s, and a margin of %d", level, what, margin)
	return nil
}

// farHead finds a mistyped head: the floor above it would be durable, and nothing up to it could be signed any more. What the other
// instance told of is known too.
func (n *Node) farHead(r TakeoverRequest) []checklist.Line {
	if r.Head == nil {
		return nil
	}
	limit, err := n.signer.LimitOfAll()
	if said := n.highestSaid(); said >= 0 {
		limit = limit.Or(n.now(), hwm.Known{Level: said, At: n.now()})
	}
	if err != nil || limit.Allows(*r.Head) { // where it fails, so does the floor
		return nil
	}
	result := checklist.Bad
	if r.Far {
		result = checklist.Warning
	}
	return []checklist.Line{checklist.New(checklist.Head, result, fmt.Sprintf("level %d is stated, "+
		"which is %s", *r.Head, limit.Distance(*r.Head)), "look at the level again; if the level is right: --far")}
}

// known is the highest level that is known of: of everything, and of what was signed or set as a mark.
type known struct {
	level, signed int32
	what          string
}

func (n *Node) highestKnown(s *chain.Silence, r TakeoverRequest) (known, error) {
	level, err := n.highestNear()
	if err != nil {
		return known{}, err
	}
	k := known{level: level, what: "the highest mark here"}
	if followed := n.highestSaid(); followed > k.level {
		k.level, k.what = followed, "the highest mark of the other instance"
	}
	k.signed = k.level
	if s != nil {
		k.signed = max(k.signed, s.LastOwn)
	}
	if r.Head != nil && *r.Head > k.level {
		k.level, k.what = *r.Head, "the head that the operator stated"
	}
	if s != nil && s.Head > k.level {
		k.level, k.what = s.Head, "the chain's head"
	}
	if s != nil && s.LastOwn > k.level {
		k.level, k.what = s.LastOwn, "the last operation of ours on chain"
	}
	return k, nil
}

// highestNear is the highest level of all marks of our chain, but of those that are too far above the head of our node: nothing was signed
// there, and the mark of one key must not stop the others.
func (n *Node) highestNear() (int32, error) {
	rows, err := n.rows()
	if err != nil {
		return 0, err
	}
	limit, err := n.signer.LimitOfAll()
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

// highestSaid is the highest level that the other instance told of and that is believed; -1 when it told of none.
func (n *Node) highestSaid() int32 {
	n.mu.Lock()
	defer n.mu.Unlock()
	highest := int32(-1)
	if n.said != nil && n.said.Status != nil {
		for _, m := range n.said.Status.Marks {
			if n.tooFar(m) == nil {
				highest = max(highest, m.Level)
			}
		}
	}
	return highest
}
