package rights

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/node/nodesim"
)

// TestAHeadThatLied: after one head far above the chain the follower follows the chain again, with its pace. The chain
// is young: few levels are asked of the node.
func TestAHeadThatLied(t *testing.T) {
	const young = 20
	r := newRig(t, func(c *nodesim.Config) { c.Level = young }).catchUp()
	require.NoError(t, r.advance())
	r.f.Saw(young+1_000_000, r.now.Add(time.Second))
	_ = r.look() // the node may refuse such a level
	for range Depth + young/levelsPerHead {
		r.now = r.now.Add(longestWait)
		h := r.sim.Advance()
		r.f.Saw(h.Level, h.Timestamp)
		require.NoError(t, r.look())
	}
	_, to := r.f.Known()
	require.Equal(t, r.sim.Head().Level-1-Depth, to)
	require.NoError(t, r.f.Problem())
	next := r.f.Next(r.keys[0].PKH)
	require.NotEmpty(t, next)
	require.Equal(t, r.now.Add(longestWait*time.Duration(next[0].Level-r.sim.Head().Level)), next[0].At)
}
