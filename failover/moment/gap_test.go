package moment

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"highwater/internal/chain"
	"highwater/internal/checklist"
)

// turns makes rights of pairs of a level and a round.
func turns(pairs ...int32) (out []chain.Right) {
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, chain.Right{Level: pair[0], Round: pair[1]})
	}
	return out
}

func TestGaps(t *testing.T) {
	for name, c := range map[string]struct {
		rights []chain.Right
		w      Window
		starts int32
		gap    int
		result checklist.Result
		detail string
	}{
		"nothing": {nil, Window{Blocks: 3}, 100, 3, checklist.OK, "none of ours at the next 3 levels"},
		"far enough": {
			turns(104, 0),
			Window{Blocks: 3, Within: 9},
			100, 3, checklist.OK,
			"next of ours may come at level 104, round 0",
		},
		"too near": {
			turns(103, 1),
			Window{Blocks: 3, Within: 9},
			103, 3, checklist.Waiting,
			"3 free levels begin in 3 levels, about 18s",
		},
		"the first of two": {
			turns(102, 0, 106, 0, 111, 0),
			Window{Blocks: 3, Within: 20},
			102, 3, checklist.Waiting,
			"begin in 2",
		},
		"the best is later": {
			turns(102, 0, 104, 0, 107, 0, 109, 0),
			Window{Blocks: 4, Within: 8},
			104, 2,
			checklist.Waiting, "best gap, of 2, begins in 4",
		},
		"the best is now": {
			turns(103, 0, 105, 0, 107, 0, 109, 0),
			Window{Blocks: 4, Within: 8},
			100, 2,
			checklist.Warning, "best gap is now: 2",
		},
		"each level is ours": {
			turns(101, 0, 102, 0, 103, 0, 104, 0),
			Window{Blocks: 1, Within: 3},
			100, 0,
			checklist.Warning, "no moment is better",
		},
		"at round 1 always": {
			turns(101, 1, 102, 1, 103, 0, 104, 1, 105, 1),
			Window{Blocks: 2, Within: 3},
			100, 2,
			checklist.OK, "at round 0",
		},
		"no time to wait": {
			turns(101, 0),
			Window{Blocks: 2},
			100, 0, checklist.Waiting,
			"a block of ours may come at level 101, round 0",
		},
		"no time for less": {
			turns(102, 0),
			Window{Blocks: 2, Within: 1},
			100, 0, checklist.Waiting,
			"a block of ours may come at level 102, round 0",
		},
		"no time for the gap": {
			turns(101, 0, 103, 0, 105, 0, 106, 0),
			Window{Blocks: 2, Within: 4},
			101, 1,
			checklist.Waiting, "of 1, begins in 1",
		},
	} {
		m := Moment{}
		f := m.look(c.rights, 100, c.w)
		require.Equal(t, c.result, f.Result, "%s: %s", name, f.Detail)
		require.Contains(t, f.Detail, c.detail, name)
		require.Equal(t, c.starts, m.Starts, name)
		require.Equal(t, c.gap, m.Gap, name)
	}
}

// TestWhoeverWaitsGoes: level after level until the bound, with any rights; the moment comes, it comes in time, and it
// is as long as any gap that there was.
func TestWhoeverWaitsGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, bound := rapid.IntRange(1, 6).Draw(t, "want"), rapid.IntRange(6, 40).Draw(t, "bound")
		ours := map[int32]bool{}
		var rights []chain.Right
		share := rapid.IntRange(0, 10).Draw(t, "share")
		for level := int32(1); level <= int32(bound+want+1); level++ {
			if rapid.IntRange(0, 9).Draw(t, "ours") < share {
				ours[level] = true
				rights = append(rights, chain.Right{Level: level})
			}
		}
		longest := func(from int32) int {
			n := 0
			for n < want && !ours[from+int32(n)+1] {
				n++
			}
			return n
		}
		best := 0
		for head := range int32(bound + 1) {
			if n := longest(head); n == want || int(head)+want <= bound {
				best = max(best, n)
			}
		}
		for head := range int32(bound + 1) {
			var ahead []chain.Right
			for _, r := range rights {
				if r.Level > head {
					ahead = append(ahead, r)
				}
			}
			m := Moment{}
			if f := m.look(ahead, head, Window{Blocks: want, Within: bound - int(head)}); f.Result == checklist.Waiting {
				continue
			}
			require.Equal(t, best, longest(head), "at %d, while there was a better gap", head)
			return
		}
		require.Fail(t, "waited for ever")
	})
}
