package moment

import (
	"fmt"
	"slices"
	"time"

	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/words"
)

// gap is a run of levels that cannot bring a block of ours. The gap begins after so many levels from now.
type gap struct{ after, blocks int }

// choose gives the first gap that is long enough and begins in time. Without such a gap, choose gives the longest, and
// the first of several equally long: among the gaps so early that a long gap could still have come. A search with no
// time left is not given less than was asked for.
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

// look chooses the gap, and says why.
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
	line := func(result checklist.Result, format string, args ...any) checklist.Line {
		return checklist.New(checklist.Blocks, result, fmt.Sprintf(format, args...), "")
	}
	begins := fmt.Sprintf("in %s, about %s", words.Count(g.after, "level"), time.Duration(g.after)*BlockTime)
	short := fmt.Sprintf("no %d levels in a row are surely without a block of ours%s", w.Blocks, rounds)
	if w.Blocks == 1 {
		short = "no level is surely without a block of ours" + rounds
	}
	switch {
	case g.blocks >= w.Blocks && g.after == 0 && next == nil:
		return line(checklist.OK, "none of ours at the next %d levels", w.Within+w.Blocks)
	case g.blocks >= w.Blocks && g.after == 0:
		return line(checklist.OK, "none of ours at the next %d levels%s; the next of ours may come at level %d, round %d",
			g.blocks, rounds, next.Level, next.Round)
	case g.blocks >= w.Blocks:
		return line(checklist.Waiting, "a block of ours may come at level %d, round %d; %d free levels%s begin %s",
			next.Level, next.Round, w.Blocks, rounds, begins)
	case g.blocks == 0 && w.Within >= w.Blocks:
		return line(checklist.Warning, "each of the next %d may be ours: no moment is better than another", w.Within+1)
	case g.blocks == 0:
		return line(checklist.Waiting, "a block of ours may come at level %d, round %d", next.Level, next.Round)
	case g.after == 0:
		return line(checklist.Warning, "%s; the best gap is now: %d", short, g.blocks)
	}
	return line(checklist.Waiting, "%s; the best gap, of %d, begins %s", short, g.blocks, begins)
}
