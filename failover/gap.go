package failover

import (
	"fmt"
	"slices"
	"time"

	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/words"
)

// gap is a run of levels that cannot bring a block of ours. It begins after so many levels from now.
type gap struct{ after, blocks int }

// choose gives the first gap that is long enough and begins in time. Where none is, it gives the longest, the first if there are several,
// of those that begin so early that a long one could still have come: who has no time left is not given less than was asked for.
func choose(rights []chain.Right, head int32, w Window) gap {
	ours := map[int32]bool{}
	for _, r := range rights {
		ours[r.Level] = true
	}
	best := gap{}
	for after := 0; after <= w.Within; after++ {
		g := gap{after: after}
		for g.blocks < w.Blocks && !ours[head+int32(after+g.blocks)+1] { //nolint:gosec // a window is small
			g.blocks++
		}
		if g.blocks >= w.Blocks {
			return g
		}
		if g.blocks > best.blocks && after+w.Blocks <= w.Within {
			best = g
		}
	}
	return best
}

// look chooses when to go, and says why.
func (m *Moment) look(rights []chain.Right, head int32, w Window) checklist.Line {
	w.Within = min(w.Within, chain.MaxAhead-w.Blocks)
	if len(rights) > 0 {
		next := slices.MinFunc(rights, func(a, b chain.Right) int { return hwm.Position(a).Compare(hwm.Position(b)) })
		m.Next = &next
	}
	g, rounds := choose(rights, head, w), ""
	if g.blocks == 0 && w.Within >= w.Blocks { // often ours at round 1: that round is rarely needed
		g = choose(slices.DeleteFunc(slices.Clone(rights), func(r chain.Right) bool { return r.Round > 0 }), head, w)
		rounds = " at round 0"
	}
	m.Starts, m.Gap = head+int32(g.after), g.blocks //nolint:gosec // a window is small
	return g.finding(m.Next, w, rounds)
}

func (g gap) finding(next *chain.Right, w Window, rounds string) checklist.Line {
	const id = checklist.Blocks
	far := fmt.Sprintf("in %s, about %s", words.Count(g.after, "level"), time.Duration(g.after)*BlockTime)
	near := fmt.Sprintf("no %d levels in a row are without a block that may be ours%s", w.Blocks, rounds)
	if w.Blocks == 1 {
		near = "no level is without a block that may be ours" + rounds
	}
	switch {
	case g.blocks >= w.Blocks && g.after == 0 && next == nil:
		return checklist.New(id, checklist.OK, fmt.Sprintf("none of ours at the next %d levels", w.Within+w.Blocks), "")
	case g.blocks >= w.Blocks && g.after == 0:
		return checklist.New(id, checklist.OK, fmt.Sprintf("none of ours at the next %d levels%s; one may come at level %d, round %d",
			g.blocks, rounds, next.Level, next.Round), "")
	case g.blocks >= w.Blocks:
		return checklist.New(id, checklist.Waiting, fmt.Sprintf("one of ours may come at level %d, round %d; %d free levels%s begin %s", next.Level, next.Round,
			w.Blocks, rounds, far), "")
	case g.blocks == 0 && w.Within >= w.Blocks:
		return checklist.New(id, checklist.Warning, fmt.Sprintf("each of the next %d may be ours: no moment is better than another", w.Within+1), "")
	case g.blocks == 0:
		return checklist.New(id, checklist.Waiting, fmt.Sprintf("one of ours may come at level %d, round %d", next.Level, next.Round), "")
	case g.after == 0:
		return checklist.New(id, checklist.Warning, fmt.Sprintf("%s; the best gap is now: %d", near, g.blocks), "")
	}
	return checklist.New(id, checklist.Waiting, fmt.Sprintf("%s; the best gap, of %d, begins %s", near, g.blocks, far), "")
}
