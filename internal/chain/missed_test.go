package chain

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// TestMissedLevels: those with rights and without an attestation; a level without rights is none, and neither is what
// cannot be seen.
func TestMissedLevels(t *testing.T) {
	r := newRig(t, butOne)
	keys := r.keys
	r.sim.Advance() // 1001
	r.attest()
	r.sim.Advance() // 1002 is missed
	for range 2 {
		r.attest() // 1003, 1004
	}
	for range 3 { // 1005 to 1007; at 1006 there are no rights
		r.sim.Advance()
	}
	missed, err := r.reader.Missed(t.Context(), keys, start+1, start+7)
	require.NoError(t, err)
	require.Equal(t, []int32{start + 2, start + 5, start + 7}, missed)
	missed, err = r.reader.Missed(t.Context(), keys, start+3, start+4)
	require.NoError(t, err)
	require.Empty(t, missed)

	// One key of several is missing: the level is missed too.
	missed, err = r.reader.Missed(
		t.Context(), append(keys[:1:1], newKey(t, tezos.Secp256k1, 9).PublicKey().Hash()), start+3, start+4)
	require.NoError(t, err)
	require.Empty(t, missed, "a key without rights misses nothing")

	for name, span := range map[string][2]int32{
		"the head itself": {start + 1, start + 8}, "backwards": {start + 3, start + 2}, "too far": {1, maxMissedRange + 1},
		"before the chain": {0, 3},
	} {
		_, err = r.reader.Missed(t.Context(), keys, span[0], span[1])
		require.Error(t, err, name)
	}
	_, err = r.reader.Missed(t.Context(), []tezos.PublicKeyHash{}, start+1, start+2)
	require.Error(t, err)
	_, err = r.reader.Missed(t.Context(), keys, start-5, start+2)
	require.ErrorIs(t, err, node.ErrNotFound, "what is older than the node's history is not evidence")
}
