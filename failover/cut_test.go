package failover

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/moment"
	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
)

// TestACutHandoverGoesOn: the release is durable, its answer never came. Whichever machine is asked next, whichever was
// restarted meanwhile, by level or live: the same handover goes on, nobody waits for a moment, and until then both say
// that nobody signs.
func TestACutHandoverGoesOn(t *testing.T) {
	for _, c := range []struct {
		name    string
		side    int
		restart bool
		at      *int32
	}{
		{"asked on the new side", 1, false, nil},
		{"asked on the old side", 0, false, nil},
		{"asked on the new side after a restart", 1, true, nil},
		{"asked on the old side after a restart", 0, true, nil},
		{"by level, asked on the old side", 0, false, level(start + 5)},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPair(t)
			a, b := p.begin()
			a.bake(p.level)
			p.cable.lose = func(verb string) (bool, bool) { return false, verb == wire.Release }
			_, err := b.node.askRelease(t.Context(), b.peer(), c.at)
			is(t, err, wire.Unreachable)
			p.cable.lose = nil
			if c.restart {
				a.restart()
				b.restart()
			}
			for _, s := range []*side{a, b} {
				_, err = s.node.Ask(t.Context())
				require.NoError(t, err)
			}
			if c.at == nil {
				for _, s := range []*side{a, b} {
					v := s.node.View()
					require.Contains(t, v.MaySign, "nobody")
					require.Contains(t, v.MaySign, "has not arrived")
					require.Equal(t, []string{verdict.GoesOn}, v.Next)
				}
				require.Zero(t, a.bake(p.level+1)+b.bake(p.level+1))
			}
			b.node.followOnce(t.Context())
			asked := p.sides[c.side]
			h, err := asked.node.Handover(t.Context(), HandoverRequest{Window: &moment.Window{}})
			require.NoError(t, err)
			require.True(t, h.Done)
			require.Equal(t, b.node.Me(), h.To)
			require.Equal(t, uint64(2), h.Epoch, "the same handover")
			require.Equal(t, hwm.Active, b.role().Role)
			require.Equal(t, b.node.Me(), b.role().Owner)
			p.level = start + 10
			require.Zero(t, a.bake(p.level))
			require.Equal(t, perLevel, b.bake(p.level))
			require.Empty(t, p.judge.Doubles())
		})
	}
}

// TestACutIsSaid: what is known and what to do, on the side that asked.
func TestACutIsSaid(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	p.cable.lose = func(verb string) (bool, bool) { return false, verb == wire.Invite }
	_, err := a.node.Handover(t.Context(), HandoverRequest{})
	is(t, err, wire.Unreachable)
	require.Contains(t, err.Error(), "the peer may sign by now")
	require.Contains(t, wire.AsRefusal(err).Hint, "the handover goes on where it was cut off")
	require.Equal(t, hwm.Active, b.role().Role)
	p.cable.lose = nil
	h, err := b.node.Handover(t.Context(), HandoverRequest{DryRun: true}) // the way back
	require.NoError(t, err)
	require.Equal(t, a.node.Me(), h.To)
	released := 0 // the first question is a dry run
	p.cable.lose = func(verb string) (bool, bool) {
		if verb == wire.Release {
			released++
		}
		return false, verb == wire.Release && released > 1
	}
	_, err = b.node.askForIt(t.Context())
	require.Error(t, err)
	require.Contains(t, b.node.planPeer(b.peer(), wire.Answer{Hello: wire.Hello{Owner: b.node.Me(), Epoch: 99}}).Detail,
		"a handover that was cut off goes on")
}

// TestAHandoverFromADeadPeerSaysTakeover: the machine with the right is dead, and a handover is not the way. The machine
// with the right, beside a dead backup, signs on and is told of no takeover.
func TestAHandoverFromADeadPeerSaysTakeover(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	p.cable.cut = true
	for _, dry := range []bool{true, false} {
		_, err := b.node.Handover(t.Context(), HandoverRequest{DryRun: dry})
		require.Error(t, err)
		require.Contains(t, wire.AsRefusal(err).Hint, "afterwards, here: highwater takeover")
		_, err = a.node.Handover(t.Context(), HandoverRequest{DryRun: dry})
		is(t, err, wire.Unreachable)
		require.NotContains(t, wire.AsRefusal(err).Hint, "takeover")
	}
	p.level++
	require.Positive(t, a.bake(p.level), "it signs on")
	a.restart() // the peer may have taken over meanwhile: it asks, and nobody answers
	_, err := a.node.Handover(t.Context(), HandoverRequest{DryRun: true})
	require.Contains(t, wire.AsRefusal(err).Hint, "afterwards, here: highwater takeover")
}
