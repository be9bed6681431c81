// Package missed accounts for the rights of our keys: their outcomes on chain, and the causes by this signer's own log.
package missed

import (
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/internal/hints"
	"highwater/internal/node"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// MaxLevels bounds a span: nearly a week at 6 s a level.
const MaxLevels = 100_000

// Span names the wanted levels; exactly one field is set.
type Span struct {
	Last   time.Duration // up to the last final level
	Cycle  *int32
	Levels *node.Levels
}

// Node is the asked octez node; node.Client is one.
type Node interface {
	Head(ctx context.Context) (node.Header, error)
	HeaderAt(ctx context.Context, level int32) (node.Header, error)
	Cycle(ctx context.Context) (int32, error)
	CycleLevels(ctx context.Context, offset int32) (node.Levels, error)
	AttestationRights(ctx context.Context, q node.RightsQuery) ([]node.AttestationRight, error)
}

// Find gives the final levels of a span, as far as the node has their blocks. The notes name the levels that are left out.
func (s Span) Find(ctx context.Context, n Node) (node.Levels, []string, error) {
	head, err := n.Head(ctx)
	if err != nil {
		return node.Levels{}, nil, err
	}
	final := head.Level - 1 - rights.Depth
	want, err := s.levels(ctx, n, head)
	if err != nil {
		return want, nil, err
	}
	var notes []string
	if want.First > final {
		return want, nil, hints.Add(fmt.Errorf("level %d is not final yet: the head is at level %d", want.First, head.Level),
			fmt.Sprintf("levels up to %d are final", final))
	}
	if want.Last > final {
		if s.Cycle != nil || s.Levels != nil {
			notes = append(notes, fmt.Sprintf("levels from %d on are not final yet, and left out", final+1))
		}
		want.Last = final
	}
	first, err := oldest(ctx, n, want)
	if err != nil {
		return want, nil, err
	}
	if first > want.First {
		notes = append(notes, fmt.Sprintf("the node has no blocks before level %d: levels %d to %d are left out. "+
			"A rolling node keeps the last cycles only; an archive node keeps all", first, want.First, first-1))
		want.First = first
	} else if s.Last > 0 {
		note, err := s.before(ctx, n, first, head)
		if err != nil {
			return want, nil, err
		}
		notes = append(notes, note...)
	}
	if levels := int64(want.Last) - int64(want.First) + 1; levels > MaxLevels {
		return want, nil, tooMany(fmt.Sprintf("%d levels are", levels), want.Last)
	}
	return want, notes, nil
}

func tooMany(what string, last int32) error {
	return hints.Add(fmt.Errorf("%s too many for one look, which reads at most %d levels", what, MaxLevels),
		fmt.Sprintf("ask for a part: --levels %d-%d", last-MaxLevels+1, last))
}

// before looks at the block before the first level of a span by time: a span that begins later than asked says why.
func (s Span) before(ctx context.Context, n Node, first int32, head node.Header) (note []string, err error) {
	if first <= 1 {
		return nil, nil
	}
	h, err := n.HeaderAt(ctx, first-1)
	switch {
	case errors.Is(err, node.ErrNotFound):
		return []string{fmt.Sprintf("the node has no blocks before level %d: the levels of %s are not complete. "+
			"A rolling node keeps the last cycles only; an archive node keeps all", first, s.Last)}, nil
	case err != nil:
		return nil, err
	case !h.Timestamp.Before(head.Timestamp.Add(-s.Last)):
		return nil, tooMany(fmt.Sprintf("the levels of %s are", s.Last), head.Level-1-rights.Depth)
	}
	return nil, nil
}

func (s Span) levels(ctx context.Context, n Node, head node.Header) (node.Levels, error) {
	switch {
	case s.Levels != nil:
		return *s.Levels, nil
	case s.Cycle != nil:
		now, err := n.Cycle(ctx)
		if err != nil {
			return node.Levels{}, err
		}
		if *s.Cycle > now {
			return node.Levels{}, hints.Add(fmt.Errorf("cycle %d has not begun: the chain is in cycle %d", *s.Cycle, now),
				"the coming rights are on the status page")
		}
		return n.CycleLevels(ctx, *s.Cycle-now)
	}
	first, err := since(ctx, n, head, head.Timestamp.Add(-s.Last))
	return node.Levels{First: first, Last: head.Level - 1 - rights.Depth}, err
}

// since finds the first level at or after a time. Each question halves the levels in doubt; blocks that the node does
// not have count as too old.
func since(ctx context.Context, n Node, head node.Header, at time.Time) (int32, error) {
	return search(max(1, head.Level-MaxLevels), head.Level, func(level int32) (bool, error) {
		h, err := n.HeaderAt(ctx, level)
		if errors.Is(err, node.ErrNotFound) {
			return false, nil
		}
		return err == nil && !h.Timestamp.Before(at), err
	})
}

// oldest finds the first level of a span whose rights the node can tell: a node that dropped old blocks cannot.
func oldest(ctx context.Context, n Node, l node.Levels) (int32, error) {
	ask := func(level int32) error {
		q := node.RightsQuery{ConsensusKeys: []tezos.PublicKeyHash{{}}, Levels: []int32{level}, Block: level}
		_, err := n.AttestationRights(ctx, q)
		return err
	}
	switch err := ask(l.Last); {
	case errors.Is(err, node.ErrNotFound):
		return 0, hints.Add(fmt.Errorf("the node does not have the blocks of the levels %d to %d", l.First, l.Last),
			"a rolling node keeps the last cycles only: name an archive node with --node")
	case err != nil:
		return 0, fmt.Errorf("the node does not tell rights: %w", err)
	}
	has := func(level int32) (bool, error) {
		err := ask(level)
		if errors.Is(err, node.ErrNotFound) || errors.Is(err, node.ErrRefused) { // the state of the level is dropped
			return false, nil
		}
		return err == nil, err
	}
	if ok, err := has(l.First); ok || err != nil {
		return l.First, err
	}
	return search(l.First, l.Last, has)
}

// search finds the first good level of from..to, where to is good, and good levels follow bad ones.
func search(from, to int32, good func(level int32) (bool, error)) (int32, error) {
	for from < to {
		middle := from + (to-from)/2
		ok, err := good(middle)
		switch {
		case err != nil:
			return 0, err
		case ok:
			to = middle
		default:
			from = middle + 1
		}
	}
	return from, nil
}
