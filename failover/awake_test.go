package failover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
)

// stoodStill makes a side's process one that did not run for a while, by one of its clocks, or by both.
func (s *side) stoodStill(monotonic, wall bool) {
	s.node.every = time.Minute // a test that is starved stands still as well
	ran := time.Now()
	switch {
	case monotonic && wall:
		ran = ran.Add(-time.Hour)
	case wall:
		ran = ran.Round(0).Add(-time.Hour)
	}
	s.node.pulse.Ran(ran)
}

// TestAfterAStandstillItAsks: the one that signs stood still, the other one was told that it is dead, and took over.
// What it was about to give out when it goes on never leaves.
func TestAfterAStandstillItAsks(t *testing.T) {
	for _, both := range []bool{true, false} {
		p := newPair(t)
		a, b := p.begin()
		_, err := b.node.Ask(t.Context())
		require.NoError(t, err)
		p.cable.cut = true
		_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		require.NoError(t, err)
		p.cable.cut = false
		p.level += Margin + 1
		a.stoodStill(both, true)
		require.Zero(t, a.bake(p.level))
		require.Equal(t, hwm.Standby, a.role().Role)
		require.Equal(t, perLevel, b.bake(p.level))
		require.Empty(t, p.judge.Doubles())
	}
}

// TestAfterAStandstillAlone: without an answer it goes on, after it has asked once; and who did not stand still asks
// nobody.
func TestAfterAStandstillAlone(t *testing.T) {
	p := newPair(t)
	a, _ := p.begin()
	asked := 0
	p.cable.lose = func(string) (question, answer bool) { asked++; return true, true }
	a.stoodStill(false, false)
	require.Equal(t, perLevel, a.bake(p.level))
	require.Zero(t, asked)
	a.stoodStill(true, true)
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Equal(t, 1, asked)
	a.node.pulse.Ran(time.Time{}) // a command, which does not look
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Equal(t, 1, asked)
}
