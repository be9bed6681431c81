package failover

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/device"
)

// TestWhatATakeoverMayWaitFor: devices, the node and silence may come; a statement, and a node that is not configured,
// come by nobody's waiting.
func TestWhatATakeoverMayWaitFor(t *testing.T) {
	p, a, b, chains := chained(t)
	a.kill()
	b.gadget.health = device.Absent
	chains[1].silence = func() (chain.Silence, error) {
		return chain.Silence{Head: p.level, LastOwn: p.level, Since: p.level}, nil
	}
	take, err := b.node.Takeover(t.Context(), TakeoverRequest{Check: true, Silence: 3})
	require.NoError(t, err)
	waits := map[checklist.ID]bool{}
	for _, l := range take.Findings {
		if !l.Result.Passed() {
			waits[l.ID] = l.MayPass
		}
	}
	require.Equal(t, map[checklist.ID]bool{
		checklist.Devices: true, checklist.Silence: true, checklist.Statement: false,
	}, waits)
	b.node.heads.Chain = nil
	take, err = b.node.Takeover(t.Context(), TakeoverRequest{Check: true, CannotSign: true, Silence: 3})
	require.NoError(t, err)
	node, ok := checklist.Find(take.Findings, checklist.Node)
	require.True(t, ok)
	require.Equal(t, checklist.Bad, node.Result)
	require.False(t, node.MayPass)
	require.Empty(t, p.judge.Doubles())
}
