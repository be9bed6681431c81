package failover

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
)

// failing lets the disk of a side fail at its next write. after: that write is on the disk all the same.
func (s *side) failing(after bool) {
	s.store.countdown, s.store.after, s.store.breaks = 0, after, true
	_, err := s.store.Raise([]hwm.Row{{
		Key:  hwm.Key{Chain: ghost, PKH: newKey(s.t).PublicKey().Hash(), Kind: 0x11},
		Mark: hwm.Floor(1, s.node.now(), hwm.SourceSet),
	}})
	require.ErrorIs(s.t, err, errSick)
}

// TestAHealthyOwnerResumesBesideABrokenBackup: what the backup knows is as good as it was, whatever it can write.
func TestAHealthyOwnerResumesBesideABrokenBackup(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	b.node.followOnce(t.Context())
	b.failing(false)
	a.restart()
	require.Zero(t, a.bake(p.level+1), "it has not asked")
	answer, err := a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Contains(t, answer.Broken, "no space left")
	require.NotEmpty(t, answer.Status.Marks)
	require.Equal(t, perLevel, a.bake(p.level+1))
	require.Zero(t, b.bake(p.level+1))
	v := a.node.View()
	require.Equal(t, "this instance", v.MaySign)
	require.Contains(t, v.Peer.Broken, "no space left")
	require.Contains(t, v.Waiting, "no backup")
}

// TestABrokenBackupThatCannotKeepWhatItHears answers all the same, and yields nothing: it takes no right, and gives
// none.
func TestABrokenBackupThatCannotKeepWhatItHears(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	b.handover()
	b.kill()
	_, err := a.takeover()
	require.NoError(t, err)
	b.start()
	b.failing(false)
	require.Equal(t, hwm.Active, b.role().Role, "it has not heard of the takeover")
	a.restart()
	_, err = a.node.Ask(t.Context())
	is(t, err, wire.DiskFails)
	require.Zero(t, a.bake(p.level+100),
		"an owner whose disk fails is waited for: what it signed last may not be on its disk")
	require.Zero(t, b.bake(p.level+100))

	// One that stands by hears of an epoch that it cannot write down.
	b.restart()
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, b.role().Role)
	epoch := b.role().Epoch
	b.kill()
	_, err = a.node.Ask(t.Context())
	is(t, err, wire.Unreachable)
	next := a.role()
	next.Epoch += 2
	_, err = a.signer.Become(t.Context(), next, nil)
	require.NoError(t, err)
	b.start()
	b.failing(false)
	a.restart()
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, perLevel, a.bake(p.level+100))
	require.Equal(t, epoch, b.role().Epoch)
	_, err = b.node.Handover(t.Context(), HandoverRequest{})
	require.Error(t, err)
	_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
	is(t, err, wire.NotReady)
}

// TestNoCircleBetweenTwoMachines: the disk of the one that signs fails. It says so, and no screen and no checklist of
// either side names anything but the way out: whose process to stop, and a takeover.
func TestNoCircleBetweenTwoMachines(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	b.node.followOnce(t.Context())
	a.failing(true)
	require.Zero(t, a.bake(p.level+1))
	answer, _ := b.node.Ask(t.Context())
	require.False(t, answer.Signing, "it says that it signs")
	require.Contains(t, answer.Broken, "no space left")
	way := "on the machine of " + a.node.Me().Short() +
		": systemctl stop highwater, to keep the process from starting again; afterwards, on the peer's machine: " +
		"highwater takeover"

	for _, s := range []*side{a, b} {
		_, err := s.node.Handover(t.Context(), HandoverRequest{DryRun: true})
		var r *wire.Refusal
		require.ErrorAs(t, err, &r)
		require.Contains(t, r.Text, "disk")
		require.Contains(t, r.Hint, way)
		v := s.node.View()
		require.Contains(t, v.MaySign, "nobody")
		require.Contains(t, v.Next[0], way)
	}
	look, err := b.node.Takeover(t.Context(), TakeoverRequest{Check: true, CannotSign: true, Head: &p.level})
	require.NoError(t, err)
	require.False(t, look.Ready)
	require.Contains(t, look.Findings[0].Detail, "disk fails")
	require.Contains(t, look.Findings[0].Hint, way)
	for _, f := range look.Findings {
		require.NotContains(t, f.Hint, "highwater handover")
	}
	a.kill()
	_, err = b.takeover()
	require.NoError(t, err)
	require.Equal(t, perLevel, b.bake(p.level+Margin+10))
	a.start()
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, a.role().Role)
}

// TestADiskThatFailsInTheMiddleOfARelease gives nothing away, says why, and the right is found again whatever the disk
// holds.
func TestADiskThatFailsInTheMiddleOfARelease(t *testing.T) {
	for _, after := range []bool{false, true} {
		p := newPair(t)
		a, b := p.begin()
		require.Equal(t, perLevel, a.bake(p.level))
		_, err := b.node.Ask(t.Context())
		require.NoError(t, err)
		a.store.countdown, a.store.after, a.store.breaks = 0, after, true
		_, err = b.node.askRelease(t.Context(), b.peer(), nil)
		is(t, err, wire.DiskFails)
		require.Zero(t, a.bake(p.level+1)+b.bake(p.level+1))
		a.restart()
		_, _ = a.node.Ask(t.Context())
		b.handover()
		require.Equal(t, perLevel, b.bake(p.level+1))
		require.Zero(t, a.bake(p.level+1))
	}
}

// TestADiskThatFailsHere takes no right: the checklist says it before the other side gives anything away.
func TestADiskThatFailsHere(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	b.failing(false)
	h, err := b.node.Handover(context.WithoutCancel(t.Context()), HandoverRequest{})
	is(t, err, wire.NotReady)
	require.ErrorContains(t, err, "the disk fails")
	require.False(t, h.Done)
	require.Equal(t, perLevel, a.bake(p.level+1))
}
