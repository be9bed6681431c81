package failover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhatADrillMeasures: how long an answer took, how far the marks here are behind, when they were heard last.
func TestWhatADrillMeasures(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	v := b.node.View().Peer
	require.Nil(t, v.Behind, "the other side has marks that are not here")
	require.Nil(t, v.FollowedAt)

	b.node.followOnce(t.Context())
	v = b.node.View().Peer
	require.Equal(t, int64(0), *v.Behind)
	require.WithinDuration(t, time.Now(), *v.FollowedAt, time.Minute)

	now := time.Now()
	b.node.now = func() time.Time { now = now.Add(3 * time.Millisecond); return now } // each look at the clock costs 3 ms
	require.Equal(t, perLevel, a.bake(start+5))
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	v = b.node.View().Peer
	require.Equal(t, int64(5), *v.Behind)
	require.GreaterOrEqual(t, v.RTTMS, 3.0)
	require.Less(t, v.RTTMS, 60.0)
	b.node.followOnce(t.Context())
	require.Equal(t, int64(0), *b.node.View().Peer.Behind)

	// Another peer was measured by nobody.
	other := newKey(t).PublicKey().Hash()
	peer, _ := b.store.Peer()
	copy(peer.Key[:], other.Bytes())
	require.NoError(t, b.node.SetPeer(t.Context(), &peer))
	v = b.node.View().Peer
	require.Zero(t, v.RTTMS)
	require.Nil(t, v.Behind)
}
