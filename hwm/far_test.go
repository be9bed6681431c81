package hwm_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// The rule: the highest known level, what time may have added, and a bound.
func TestLimit(t *testing.T) {
	const bound = hwm.FarLevels
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	ago := func(level int32, d time.Duration) hwm.Mark {
		return hwm.Mark{Position: hwm.Position{Level: level}, At: now.Add(-d)}
	}
	head := func(level int32, d time.Duration) *hwm.Known {
		return &hwm.Known{Level: level, At: now.Add(-d), Node: true}
	}
	for name, c := range map[string]struct {
		head  *hwm.Known
		marks []hwm.Mark
		top   int64
	}{
		"a mark of now":              {nil, []hwm.Mark{ago(100, 0)}, 100 + bound},
		"a second allows a level":    {nil, []hwm.Mark{ago(100, 1999*time.Millisecond)}, 101 + bound},
		"a holiday":                  {nil, []hwm.Mark{ago(8_000_000, 30*24*time.Hour)}, 8_000_000 + 30*86_400 + bound},
		"a clock that went backward": {nil, []hwm.Mark{ago(100, -time.Hour)}, 100 + bound},
		"the best of the marks":      {nil, []hwm.Mark{ago(100, 0), ago(50, time.Hour)}, 50 + 3600 + bound},
		"the head counts alone":      {head(100, 0), []hwm.Mark{ago(3_000_000, 0)}, 100 + bound},
		"a head that is old":         {head(100, time.Minute), nil, 160 + bound},
		"a head of the future":       {head(100, -time.Minute), nil, 100 + bound},
		"at the end of levels":       {head(math.MaxInt32, time.Hour), nil, math.MaxInt32 + 3600 + bound},
	} {
		t.Run(name, func(t *testing.T) {
			l := hwm.NewLimit(now, c.head, c.marks...)
			require.True(t, l.Known())
			require.Equal(t, c.top, l.Top)
			require.True(t, l.Allows(int32(min(c.top, math.MaxInt32))))
			require.Equal(t, c.top >= math.MaxInt32, l.Allows(int32(min(c.top+1, math.MaxInt32))))
		})
	}
	nothing := hwm.NewLimit(now, nil)
	require.False(t, nothing.Known())
	require.True(t, nothing.Allows(math.MaxInt32), "where nothing is known there is nothing to compare with")
}

// A request that is too far is refused, at or below the limit not; and a refusal says the distance and what to do.
func TestDecideTooFar(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	mark := hwm.Floor(100, now, hwm.SourceSet)
	have := hwm.State{Mark: &mark, Limit: hwm.NewLimit(now, nil, mark)}
	at := func(level int32) hwm.Decision {
		return hwm.Decide(have, tezos.Ed25519, tezos.Request{Kind: tezos.Block, Level: level})
	}
	require.Equal(t, hwm.Advance, at(100+hwm.FarLevels).Verdict)
	d := at(101 + hwm.FarLevels)
	require.Equal(t, hwm.Decision{Verdict: hwm.Refuse, Reason: hwm.TooFar}, d)
	require.Equal(t, hwm.NotAbove, at(100).Reason, "what is below is refused for that")
	r := hwm.NewRefusal(hwm.Key{Kind: tezos.Block}, have, tezos.Request{Level: 101 + hwm.FarLevels}, d)
	require.ErrorIs(t, r, hwm.ErrRefused)
	require.ErrorContains(t, r, "10001 levels (16 h 41 min) above the highest known mark, level 100")
	require.Contains(t, r.HintText(), "--far")
}

// The sentence names the highest mark, also where time allows more above an older one.
func TestTooFarNamesTheHighestMark(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	older := hwm.Floor(1000, now.Add(-time.Minute), hwm.SourceSet)
	newer := hwm.Floor(1003, now, hwm.SourceSet)
	for _, marks := range [][]hwm.Mark{{older, newer}, {newer, older}} {
		l := hwm.NewLimit(now, nil, marks...)
		require.EqualValues(t, 1000+60+hwm.FarLevels, l.Top)
		require.EqualValues(t, 1003, l.From.Level)
		require.Contains(t, l.Distance(12004), "11001 levels")
	}
}

// A first mark that is typed with a digit too few lies far under the head.
func TestCheckFirst(t *testing.T) {
	now := time.UnixMilli(1_700_000_000_000)
	l := hwm.NewLimit(now, &hwm.Known{Level: 8_000_000, At: now, Node: true})
	require.Error(t, l.CheckFirst(hwm.Key{}, hwm.Position{Level: 800_000}))
	require.NoError(t, l.Check(hwm.Key{}, hwm.Position{Level: 800_000}), "a mark that is there goes up only")
	require.NoError(t, l.CheckFirst(hwm.Key{}, hwm.Position{Level: 8_000_000 - hwm.FarLevels}))
	require.Error(t, l.CheckFirst(hwm.Key{}, hwm.Position{Level: 80_000_000}))
	marks := hwm.NewLimit(now, nil, hwm.Floor(8_000_000, now, hwm.SourceSet))
	require.NoError(t, marks.CheckFirst(hwm.Key{}, hwm.Position{Level: 800_000}), "without a head nobody knows")
}

func TestSpan(t *testing.T) {
	for levels, text := range map[int64]string{
		1: "1 min", 10: "1 min", 11: "2 min", 7_000: "11 h 40 min", 10_000: "16 h 40 min", 20_000: "1 d 9 h",
		3_000_000:     "208 d 8 h",
		8_000_000:     "555 d 13 h",
		11_000_000:    "2 years",
		math.MaxInt32: "408 years",
	} {
		require.Equal(t, text, hwm.Span(levels), "%d", levels)
	}
}
