package failover

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/node/nodesim"
)

// rare are levels at which a small baker has to attest.
func rare(level int32) bool { return level%20 == 0 }

// TestSilenceOfRareRights: levels without rights do not count, however many; what was signed last is found far back, and a node is
// not asked for each block on the way.
func TestSilenceOfRareRights(t *testing.T) {
	p, sim := octezPairWith(t, rare)
	a, b := p.begin()
	for sim.Head().Level <= start+100 {
		if rare(sim.Head().Level) && sim.Head().Level > start {
			attest(t, a, sim) // 1020, 1040, … 1100
		} else {
			sim.Advance()
		}
	}
	for range 60 { // 1120, 1140 are silent, and 1160 is not yet known
		sim.Advance()
	}
	head := sim.Head().Level
	require.Equal(t, int32(start+161), head)
	before := sim.Served()
	s, err := b.chain.Silence(t.Context(), b.node.pkhs())
	require.NoError(t, err)
	require.Equal(t, Silence{Head: head, LastOwn: start + 100, Silent: 3, Since: start + 100}, s)
	asked := sim.Served() - before
	require.Less(t, asked, int64(3*(silenceWindow+5)), "%d questions", asked)

	// A second look costs one question; a new block, what it holds and who had to attest.
	before = sim.Served()
	again, err := b.chain.Silence(t.Context(), b.node.pkhs())
	require.NoError(t, err)
	require.Equal(t, s, again)
	require.Equal(t, before+1, sim.Served())
	sim.Advance()
	_, err = b.chain.Silence(t.Context(), b.node.pkhs())
	require.NoError(t, err)
	require.LessOrEqual(t, sim.Served(), before+1+5)
}

// TestSilenceIsBounded: keys that were never seen are looked for so far, and no further; the answer says how far.
func TestSilenceIsBounded(t *testing.T) {
	p, sim := octezPairWith(t, func(int32) bool { return true })
	_, b := p.begin()
	for range 120 {
		sim.Advance()
	}
	before := sim.Served()
	s, err := b.chain.Silence(t.Context(), b.node.pkhs())
	require.NoError(t, err)
	require.Equal(t, int32(-1), s.LastOwn)
	require.Equal(t, MaxSilence, s.Silent)
	require.Equal(t, sim.Head().Level-MaxSilence, s.Since)
	require.Less(t, sim.Served()-before, int64(3*MaxSilence+8))

	none, err := b.chain.Silence(t.Context(), nil)
	require.NoError(t, err)
	require.Zero(t, none.Silent)
	sim.SetFaults(nodesim.Faults{Down: true})
	_, err = b.chain.Silence(t.Context(), b.node.pkhs())
	require.Error(t, err)
}

// TestSilenceOfAYoungChain: fewer levels are evidence.
func TestSilenceOfAYoungChain(t *testing.T) {
	p, sim := octezPairWith(t, func(int32) bool { return true })
	_, b := p.begin()
	for range 3 {
		sim.Advance()
	}
	s, err := b.chain.Silence(t.Context(), b.node.pkhs())
	require.NoError(t, err)
	require.Equal(t, Silence{Head: start + 3, LastOwn: -1, Since: start - 1, Silent: 4}, s)
}

// TestASignatureFarBackEndsTheSilence: nothing before it counts.
func TestASignatureFarBackEndsTheSilence(t *testing.T) {
	p, sim := octezPairWith(t, func(int32) bool { return true })
	a, b := p.begin()
	sim.Advance()
	for range 4 {
		attest(t, a, sim)
	}
	last := sim.Head().Level - 1
	for range silenceWindow + 4 {
		sim.Advance()
	}
	s, err := b.chain.Silence(t.Context(), b.node.pkhs())
	require.NoError(t, err)
	require.Equal(t, last, s.LastOwn)
	require.Equal(t, silenceWindow+4, s.Silent)
}

// TestRightsAreAskedOnce: what one look asked of a level serves every other, and what is long past is forgotten.
func TestRightsAreAskedOnce(t *testing.T) {
	p, sim := octezPairWith(t, func(int32) bool { return true })
	_, b := p.begin()
	chain, keys := b.chain.(*Octez), b.node.pkhs()
	sim.Advance()
	_, err := chain.Silence(t.Context(), keys)
	require.NoError(t, err)
	level := sim.Head().Level - 1
	chain.rights.blocks[level+1] = nil
	before := sim.Served()
	rights, err := chain.Rights(t.Context(), keys, level, 1)
	require.NoError(t, err)
	require.Len(t, rights.Attest, len(keys))
	require.Equal(t, before, sim.Served())

	far := level + 3*keptRights
	_, err = chain.attesters(t.Context(), keys, far, nil)
	require.NoError(t, err)
	require.Empty(t, chain.rights.attest)
	require.Empty(t, chain.rights.blocks)
}
