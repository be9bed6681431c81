package failover

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
)

// TestAReleaseIsAboveAllThatIsKnown: a side that took over without knowing that it had been given a newer epoch by a
// certificate that never came gives the right away above both. Else each side would name the other as the owner of one
// epoch, and neither could ever take it.
func TestAReleaseIsAboveAllThatIsKnown(t *testing.T) {
	for _, live := range []bool{true, false} {
		p := newPair(t)
		a, b := p.begin()
		b.kill()
		a.restart()
		_, err := a.takeover()
		require.NoError(t, err)
		_, err = a.node.Release(t.Context(), p.level+Margin+2) // for b, which never gets it
		require.NoError(t, err)
		given := a.role().Epoch
		a.kill()
		b.start()
		_, err = b.takeover()
		require.NoError(t, err)
		require.Less(t, b.role().Epoch, given, "b knows nothing of what a did")
		a.start()
		_, err = b.node.Ask(t.Context())
		require.NoError(t, err)
		p.level += 2 * Margin
		require.NotZero(t, b.bake(p.level))

		if live {
			a.handover()
		} else {
			c, err := b.node.Release(t.Context(), p.level+2)
			require.NoError(t, err)
			_, err = a.node.Accept(t.Context(), c, &p.level)
			require.NoError(t, err)
		}
		require.Equal(t, hwm.Active, a.role().Role)
		require.Greater(t, a.role().Epoch, given)
		p.level += 5
		require.Equal(t, perLevel, a.bake(p.level))
		require.Zero(t, b.bake(p.level))
		require.Empty(t, p.judge.Doubles())
	}
}

// TestATakenOverOwnerWaitsForItsCertificate: a dies, b takes over and gives the right back on a stick. a comes back
// before the stick does: it does not sign in its old epoch, is no old copy, and takes what it was given when it comes,
// on the stick or over the link.
func TestATakenOverOwnerWaitsForItsCertificate(t *testing.T) {
	for _, way := range []string{"stick", "link", "link, and then the stick"} {
		t.Run(way, func(t *testing.T) {
			p := newPair(t)
			a, b := p.begin()
			c := takenOverAndGivenBack(t, p)
			a.start()
			_, err := a.node.Ask(t.Context())
			require.NoError(t, err)
			p.level = *c.Level // the last that b signs
			require.Equal(t, perLevel, b.bake(p.level))
			a.bake(p.level)
			require.Empty(t, p.judge.Doubles())
			require.Equal(t, hwm.Standby, a.role().Role)
			require.Empty(t, a.alarms())
			p.level = *c.Level + 1
			require.Zero(t, a.bake(p.level)+b.bake(p.level))
			if way == "stick" {
				_, err = a.node.Accept(t.Context(), c, &p.level)
				require.NoError(t, err)
			} else {
				a.handover()
			}
			require.Equal(t, c.Epoch, a.role().Epoch)
			require.Equal(t, perLevel, a.bake(p.level))
			_, err = a.node.Accept(t.Context(), c, &p.level)
			is(t, err, wire.OldAnswer)
			require.Zero(t, b.bake(p.level))
			require.Empty(t, p.judge.Doubles())
		})
	}
}

// takenOverAndGivenBack leaves a dead, and b signing up to the level of a certificate for a.
func takenOverAndGivenBack(t *testing.T, p *pair) *wire.Certificate {
	a, b := p.sides[0], p.sides[1]
	a.kill()
	_, err := b.takeover()
	require.NoError(t, err)
	c, err := b.node.Release(t.Context(), p.level+Margin+5)
	require.NoError(t, err)
	return c
}

// TestASigningOwnerThatWasTakenOverStops: the same with a false statement: a lives, and signs. Whatever way it hears of
// the newer epoch, it stops, though the newer epoch is its own.
func TestASigningOwnerThatWasTakenOverStops(t *testing.T) {
	for _, asks := range []bool{true, false} {
		p := newPair(t)
		a, b := p.begin()
		p.cable.cut = true
		_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		require.NoError(t, err)
		c, err := b.node.Release(t.Context(), p.level+Margin+5)
		require.NoError(t, err)
		p.cable.cut = false
		if asks {
			_, err = a.node.Ask(t.Context())
		} else {
			_, err = b.node.Ask(t.Context())
		}
		require.NoError(t, err)
		require.False(t, a.signer.Active())
		p.level += Margin + 1
		require.Zero(t, a.bake(p.level))
		require.Equal(t, perLevel, b.bake(p.level), "b signs on, up to the level")
		a.handover()
		p.level = *c.Level + 1
		require.Equal(t, perLevel, a.bake(p.level))
		require.Zero(t, b.bake(p.level))
		require.Empty(t, p.judge.Doubles())
	}
}

// TestNoJumpOfAnEpoch: an epoch that the parser takes, and that no history leads to, is not believed, whichever message
// says it. The pair goes on as it was, and its epochs grow by small steps.
func TestNoJumpOfAnEpoch(t *testing.T) {
	for _, far := range []uint64{2 + maxJump, wire.MaxEpoch - 1, wire.MaxEpoch} {
		p := newPair(t)
		a, b := p.begin()
		p.hear()
		was := [2]hwm.RoleRecord{a.role(), b.role()}
		q := b.node.question(b.peer(), "")
		said, heard := q, q
		said.Epoch, said.Owner = far, b.node.Me()
		heard.Seen = far
		for _, verb := range []string{wire.Status, wire.Follow, wire.Release, wire.Invite} {
			for what, m := range map[string]wire.Question{"epoch": said, "seen": heard} {
				answer := a.node.handle(a.node.Server().ConnContext(t.Context(), nil), verb, over[wire.Question](t, m))
				require.NotNil(t, answer.Refusal, "%s: %s", verb, what)
				require.Equal(t, wire.FarEpoch, answer.Refusal.Reason, "%s: %s", verb, what)
				require.NotEmpty(t, answer.Refusal.Hint)
			}
		}
		answer := b.node.handle(b.node.Server().ConnContext(t.Context(), nil), wire.Status,
			a.node.question(a.peer(), a.node.newNonce(wire.Status)))
		jump := answer
		jump.Epoch, jump.Owner = far, b.node.Me()
		is(t, a.node.onStatus(t.Context(), jump), wire.FarEpoch)
		is(t, a.node.onFollow(t.Context(), jump), wire.FarEpoch)
		report := *answer.Status
		report.Seen = far
		jump = answer
		jump.Status = &report
		is(t, a.node.onStatus(t.Context(), jump), wire.FarEpoch)
		c := &wire.Certificate{
			Protocol: wire.Protocol, Chain: ghost, From: a.node.Me(), To: b.node.Me(), Epoch: far,
			Level: level(p.level), Marks: []wire.Mark{},
		}
		c, err := c.Sign(a.store.Identity())
		require.NoError(t, err)
		_, err = b.node.Accept(t.Context(), c, &p.level)
		is(t, err, wire.FarEpoch)

		require.Equal(t, was, [2]hwm.RoleRecord{a.role(), b.role()})
		require.Equal(t, perLevel, a.bake(p.level+1))
		// What was said last is looked at by a takeover, too.
		b.node.noteAnswer(wire.Answer{Hello: said.Hello}, b.node.now(), nil)
		require.Equal(t, uint64(3), b.node.epochs.next())
		b.handover()
		require.Equal(t, uint64(2), b.role().Epoch)
	}
}

// TestAPlausibleJump: what both sides may have gone through while they did not hear each other is believed.
func TestAPlausibleJump(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	p.hear()
	b.kill()
	next := a.role()
	next.Epoch += maxJump
	_, err := a.signer.Become(t.Context(), next, nil)
	require.NoError(t, err)
	b.start()
	p.hear()
	require.Equal(t, next.Epoch, b.role().Epoch)
}
