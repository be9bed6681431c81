package failover

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
)

// TestAFalseStatementGivesUpWhatIsUnderWay: an owner that hears, while its device works, that the other side took over
// does not wait for the device: the other side signs, maybe at the same level, so what is under way never leaves.
func TestAFalseStatementGivesUpWhatIsUnderWay(t *testing.T) {
	for _, both := range []bool{false, true} {
		p := newPair(t)
		a, b := p.begin()
		require.NoError(t, b.asks())
		p.cable.cut = true
		if both { // a took over too: two owners of one epoch
			a.restart()
			_, err := a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
			require.NoError(t, err)
		}
		_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		require.NoError(t, err)
		p.level += Margin + 1
		a.givesUp(p.level, func() {
			p.cable.cut = false
			require.NoError(t, a.asks())
		})
		require.NotEqual(t, hwm.Active, a.role().Role)
	}
}

// TestACopyGivesUpWhatIsUnderWay: the original hears, while its device works, that a copy of it runs, which may sign at
// the same level.
func TestACopyGivesUpWhatIsUnderWay(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.NoError(t, b.asks())
	c := a.copied()
	c.start()
	is(t, c.asks(), wire.SameKey)
	a.givesUp(p.level, func() { is(t, a.asks(), wire.SameKey) })
	require.Equal(t, hwm.Fenced, a.role().Role)
	p.ends(a, b, c)
}
