package chain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/node/nodesim"
)

// TestRightsAreAskedForOnce: a second look at a level costs the node one question, a level later one more of each kind.
func TestRightsAreAskedForOnce(t *testing.T) {
	r := newRig(t, butOne)
	first, err := r.reader.Rights(t.Context(), r.keys, start, 52)
	require.NoError(t, err)
	require.NotEmpty(t, first.Blocks)
	require.Len(t, first.Attest, len(r.keys))
	for _, right := range first.Blocks {
		require.LessOrEqual(t, right.Round, int32(LowRound))
		require.Greater(t, right.Level, int32(start))
	}
	before := r.sim.Served()
	again, err := r.reader.Rights(t.Context(), r.keys, start, 52)
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.Equal(t, before, r.sim.Served())
	next, err := r.reader.Rights(t.Context(), r.keys, start+1, 52)
	require.NoError(t, err)
	require.Equal(t, before+2, r.sim.Served())
	require.NotEqual(t, first, next)

	// What failed is asked for again, and other keys have other rights.
	r.sim.SetFaults(nodesim.Faults{Down: true})
	_, err = r.reader.Rights(t.Context(), r.keys, start+2, 52)
	require.Error(t, err)
	r.sim.SetFaults(nodesim.Faults{})
	_, err = r.reader.Rights(t.Context(), r.keys, start+2, 52)
	require.NoError(t, err)
	one, err := r.reader.Rights(t.Context(), r.keys[:1], start, 52)
	require.NoError(t, err)
	require.Less(t, len(one.Blocks), len(first.Blocks))
	none, err := r.reader.Rights(t.Context(), nil, start, 52)
	require.NoError(t, err)
	require.Empty(t, none)
}

// TestALookServesTheOthers: what one look asked of a level serves every other, and what is long past is forgotten.
func TestALookServesTheOthers(t *testing.T) {
	r := newRig(t, always)
	r.sim.Advance()
	_, err := r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	level := r.sim.Head().Level - 1
	r.reader.rights.blocks[level+1] = nil
	before := r.sim.Served()
	rights, err := r.reader.Rights(t.Context(), r.keys, level, 1)
	require.NoError(t, err)
	require.Len(t, rights.Attest, len(r.keys))
	require.Equal(t, before, r.sim.Served())

	far := level + 3*keptRights
	_, err = r.reader.attesters(t.Context(), r.keys, far, nil)
	require.NoError(t, err)
	require.Empty(t, r.reader.rights.attest)
	require.Empty(t, r.reader.rights.blocks)
}
