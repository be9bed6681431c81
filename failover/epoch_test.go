package failover

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
)

// TestAReleaseIsAboveAllThatIsKnown: a side that took over without knowing that it had been given a newer epoch by a certificate that never
// came gives the right away above both. Else each side would name the other as the owner of one epoch, and neither could ever take it.
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

// TestATakenOverOwnerWaitsForItsCertificate: a dies, b takes over and gives the right back on a stick. a comes back before the stick does: it
// does not sign in its old epoch, is no old copy, and takes what it was given when it comes, on the stick or over the link.
func TestATakenOverOwnerWaitsForItsCertificate(t *testing.T) {
	for _, way := range []string{"stick", "link", "link, and then the stick"} {
		t.Run(way, func(t *testing.T) {
			p := newPair(t)
			a, b := p.begin()
			c := takenOverAndGivenBack(t, p)
			a.start()
			_, err := a.node.Ask(t.Context())
			require.NoError(t, err)
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
			is(t, err, OldAnswer)
			require.Zero(t, b.bake(p.level))
			require.Empty(t, p.judge.Doubles())
		})
	}
}

// takenOverAndGivenBack leaves a dead, and b signing up to the level of a certificate for a.
func takenOverAndGivenBack(t *testing.T, p *pair) *Certificate {
	a, b := p.sides[0], p.sides[1]
	a.kill()
	_, err := b.takeover()
	require.NoError(t, err)
	c, err := b.node.Release(t.Context(), p.level+Margin+5)
	require.NoError(t, err)
	return c
}

// TestASigningOwnerThatWasTakenOverStops: the same with a false statement: a lives, and signs. Whatever way it hears of the newer epoch, it
// stops, though the newer epoch is its own.
func TestASigningOwnerThatWasTakenOverStops(t *testing.T) {
	for _, asks := range []bool{true, false} {
		p := newPair(t)
		a, b := p.begin()
		p.wire.cut = true
		_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		require.NoError(t, err)
		c, err := b.node.Release(t.Context(), p.level+Margin+5)
		require.NoError(t, err)
		p.wire.cut = false
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

// TestNoEpochNearItsEnd: an epoch after which none could come is no epoch, wherever a message says it. Believed once, it would stay the newest.
func TestNoEpochNearItsEnd(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	q := b.node.question(b.peer(), "")
	for epoch, want := range map[uint64]bool{maxEpoch: true, maxEpoch + 1: false, math.MaxUint64: false} {
		said, heard := q, q
		said.Epoch, heard.Seen = epoch, epoch
		for what, err := range map[string]error{
			"epoch of a question": sound(&said),
			"seen of a question":  sound(&heard),
			"epoch of an answer":  sound(&Answer{Hello: said.Hello}),
			"seen of an answer":   sound(&Answer{Hello: q.Hello, Status: &Report{Seen: epoch}}),
			"a certificate":       (&Certificate{Epoch: epoch, Nonce: "n"}).sound(),
		} {
			require.Equal(t, want, err == nil, "%s, %d", what, epoch)
		}
	}
	require.Less(t, a.role().Epoch, uint64(maxEpoch))
}
