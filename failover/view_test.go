package failover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/verdict"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/store"
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

// TestWhoSignsWhichLevels: after a release by level each side says up to which level or from which one it signs, and
// what it knows of the other one; when the level is past, or the right is given back, nobody speaks of it any more.
func TestWhoSignsWhichLevels(t *testing.T) {
	whole := Share{}
	for _, stick := range []bool{false, true} {
		p := newPair(t)
		a, b := p.begin()
		require.Equal(t, perLevel, a.bake(p.level))
		require.Equal(t, whole, a.node.View().Share)
		cut, from := p.level+3, p.level+4
		below, above := Share{SignsUpTo: &cut}, Share{SignsFrom: &from}
		if stick {
			p.cable.cut = true
			c, err := a.node.Release(t.Context(), cut)
			require.NoError(t, err)
			require.Equal(t, below, a.node.View().Share)
			require.Equal(t, above, a.node.View().Peer.Share, "once it has the certificate")
			_, err = b.node.Accept(t.Context(), c, &p.level)
			require.NoError(t, err)
			v := b.node.View()
			require.Equal(t, above, v.Share)
			require.Equal(t, whole, v.Peer.Share, "nobody heard of it")
			require.Equal(t, "this instance, from level 1005 on", v.MaySign)
			p.cable.cut = false
			_, err = b.node.Ask(t.Context())
			require.NoError(t, err)
		} else {
			_, err := b.node.Handover(t.Context(), HandoverRequest{At: &cut})
			require.NoError(t, err)
		}
		_, err := a.node.Ask(t.Context())
		require.NoError(t, err)
		va, vb := a.node.View(), b.node.View()
		require.Equal(t, []Share{below, above, above, below}, []Share{va.Share, va.Peer.Share, vb.Share, vb.Peer.Share})
		require.Equal(t, "this instance, up to level 1004; from level 1005 on the peer, "+b.node.Me().Short(), va.MaySign)
		require.Equal(t, "this instance, from level 1005 on; up to level 1004 the peer, "+a.node.Me().Short(), vb.MaySign)

		require.Equal(t, 1, b.bakeOne(from))
		require.Equal(t, above, b.node.View().Share, "the other one still signs below")

		// Past the level it is as ever: also where one kind was not asked for yet.
		require.Equal(t, 1, b.bakeOne(from+1))
		_, err = a.node.Ask(t.Context())
		require.NoError(t, err)
		require.Equal(t, hwm.Standby, a.role().Role)
		_, err = b.node.Ask(t.Context())
		require.NoError(t, err)
		va, vb = a.node.View(), b.node.View()
		require.Equal(t, []Share{whole, whole, whole, whole}, []Share{va.Share, va.Peer.Share, vb.Share, vb.Peer.Share})
		require.Equal(t, "the peer, "+b.node.Me().Short(), va.MaySign)
		require.Equal(t, "this instance", vb.MaySign)
		a.handover()
		require.Equal(t, whole, a.node.View().Share)
	}
}

// TestTheOwnersStateWasMadeAnew: the owner comes back with an empty state and another key. Nothing gives its epoch away
// any more: all that asks for it names the way out, and that is one.
func TestTheOwnersStateWasMadeAnew(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	a.kill()
	a.dir += " anew"
	require.NoError(t, store.Create(t.Context(), a.dir, time.Now()))
	a.start()
	require.NoError(t, a.node.SetPeer(t.Context(), &hwm.Peer{Address: "other:1", Key: b.node.Me()}))
	require.NoError(t, b.node.SetPeer(t.Context(), &hwm.Peer{Address: "other:1", Key: a.node.Me()}))
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	for _, s := range p.sides {
		v := s.node.View()
		require.Contains(t, v.MaySign, "nobody here: epoch 1 is owned by neither of the two")
		require.Equal(t, []string{verdict.OwnerGone}, v.Next)
		_, err = s.node.Activate(t.Context(), &p.level, "a test")
		is(t, err, wire.NotOwner)
		require.Equal(t, verdict.OwnerGone, wire.AsRefusal(err).Hint)
	}
	_, err = a.node.Handover(t.Context(), HandoverRequest{})
	is(t, err, wire.NotReady)
	require.Equal(t, verdict.OwnerGone, wire.AsRefusal(err).Hint)

	a.kill()
	_, err = b.takeover()
	require.NoError(t, err)
	a.start()
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	p.level += Margin + 1
	require.Equal(t, perLevel, b.bake(p.level))
	a.handover()
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Empty(t, p.judge.Doubles())
}

// TestBothClaimAnEpoch: two false statements, and both are fenced. Whatever is tried then says what the matter is, and
// the way out that it names is one.
func TestBothClaimAnEpoch(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	p.cable.cut = true
	lie := TakeoverRequest{CannotSign: true, Head: &p.level}
	_, err = b.node.Takeover(t.Context(), lie)
	require.NoError(t, err)
	a.restart()
	_, err = a.node.Takeover(t.Context(), lie)
	require.NoError(t, err)
	p.cable.cut = false
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, []hwm.Role{hwm.Fenced, hwm.Fenced}, []hwm.Role{a.role().Role, b.role().Role})

	if a.node.Me().Less(b.node.Me()) { // the lesser key yields as soon as it is not fenced any more
		a, b = b, a
	}
	_, err = a.node.Stand(t.Context(), "a test")
	require.NoError(t, err)
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	v := a.node.View()
	require.Equal(t, "nobody: both instances claim epoch 3", v.MaySign)
	require.Contains(t, v.Next[1], "highwater takeover")
	for _, s := range p.sides {
		_, err = s.node.Handover(t.Context(), HandoverRequest{})
		is(t, err, wire.NotOwner)
		require.ErrorContains(t, err, "both instances claim the right to sign")
	}
	_, err = a.node.Activate(t.Context(), nil, "a test")
	is(t, err, wire.NotOwner)
	require.ErrorContains(t, err, "the peer claims epoch 3 too: the peer is fenced")
	_, err = a.node.Takeover(t.Context(), lie) // it is true now: the other one is fenced
	require.NoError(t, err)
	_, err = b.node.Stand(t.Context(), "a test")
	require.NoError(t, err)
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	b.handover()
	require.Equal(t, hwm.Active, b.role().Role)
}

// TestACertificateThatIsSpentUnused: nobody can make another one for the epoch, so nothing says so; what is named goes
// on.
func TestACertificateThatIsSpentUnused(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	p.cable.cut = true
	c, err := a.node.Release(t.Context(), p.level+2)
	require.NoError(t, err)
	p.level += wire.MaxPast + 3
	_, err = b.node.Accept(t.Context(), c, &p.level)
	is(t, err, wire.OldAnswer)
	require.Contains(t, wire.AsRefusal(err).Hint, "handover")
	require.Contains(t, wire.AsRefusal(err).Hint, "takeover")
	again, err := a.node.Release(t.Context(), p.level+2)
	require.NoError(t, err)
	require.Equal(t, c.Level, again.Level)
	is(t, a.asks(), wire.Unreachable) // as each second
	require.Contains(t, a.node.View().Next[1], "highwater handover")
	p.cable.cut = false
	b.handover()
	require.Equal(t, perLevel, b.bake(p.level))
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.NotContains(t, a.node.View().Next, "highwater accept")
	require.Empty(t, p.judge.Doubles())
}
