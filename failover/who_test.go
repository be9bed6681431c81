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

// agree wants both screens to say the same of who may sign, and that to be right: is, and by (nil: nobody).
func (p *pair) agree(is verdict.Standing, by *side) {
	p.t.Helper()
	var said [2]verdict.Verdict
	for i, s := range p.sides {
		v := s.node.View()
		said[i] = s.node.verdict(v)
		require.Equal(p.t, said[i].Say(s.node.Me(), s.other().node.Me()), v.MaySign)
	}
	require.Equal(p.t, said[0], said[1], "the two screens disagree")
	want := verdict.Verdict{Is: is, Epoch: said[0].Epoch, UpTo: said[0].UpTo}
	if by != nil {
		want.By = by.node.Me()
	}
	require.Equal(p.t, want, said[0])
}

// hear lets both ask each other, twice, so that each knows what the other one made of it.
func (p *pair) hear() {
	for range 2 {
		for _, s := range p.sides {
			_, _ = s.node.Ask(p.t.Context()) // a refusal is an answer too
		}
	}
}

// TestBothScreensSayTheSame: in every state that a pair can be in while the two hear each other.
func TestBothScreensSayTheSame(t *testing.T) {
	for name, c := range map[string]struct {
		is  verdict.Standing
		by  func(a, b *side) *side
		let func(t *testing.T, p *pair, a, b *side)
	}{
		"a signs":     {verdict.Signs, first, func(*testing.T, *pair, *side, *side) {}},
		"handed over": {verdict.Signs, second, func(_ *testing.T, _ *pair, _, b *side) { b.handover() }},
		"and back":    {verdict.Signs, first, func(_ *testing.T, _ *pair, a, b *side) { b.handover(); a.handover() }},
		"a stands by": {verdict.StandsBy, first, func(t *testing.T, _ *pair, a, _ *side) {
			_, err := a.node.Stand(t.Context(), "a test")
			require.NoError(t, err)
		}},
		"a is fenced": {verdict.FencedOwner, first, func(_ *testing.T, _ *pair, a, _ *side) { a.fence() }},
		"b is fenced": {verdict.Signs, first, func(_ *testing.T, _ *pair, _, b *side) { b.fence() }},
		"taken over from a fenced one": {verdict.Signs, second, func(t *testing.T, p *pair, a, b *side) {
			a.fence()
			_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
			require.NoError(t, err)
		}},
		"taken over from a dead one": {verdict.Signs, second, func(t *testing.T, _ *pair, a, b *side) {
			a.kill()
			_, err := b.takeover()
			require.NoError(t, err)
			a.start()
		}},
		"a release whose answer was lost": {verdict.UnderWay, second, func(t *testing.T, p *pair, _, b *side) {
			p.cable.lose = func(verb string) (bool, bool) { return false, verb == wire.Release }
			_, err := b.node.askRelease(t.Context(), b.peer(), nil)
			is(t, err, wire.Unreachable)
			p.cable.lose = nil
		}},
		"between release and accept by level": {verdict.Awaited, second, func(t *testing.T, p *pair, a, _ *side) {
			_, err := a.node.Release(t.Context(), p.level+3)
			require.NoError(t, err)
		}},
		"by level": {verdict.Shares, second, func(t *testing.T, p *pair, a, b *side) {
			c, err := a.node.Release(t.Context(), p.level+3)
			require.NoError(t, err)
			_, err = b.node.Accept(t.Context(), c, &p.level)
			require.NoError(t, err)
		}},
		"a's disk fails": {verdict.BrokenOwner, first, func(_ *testing.T, _ *pair, a, _ *side) { a.failing(false) }},
		"b's disk fails": {verdict.Signs, first, func(_ *testing.T, _ *pair, _, b *side) { b.failing(false) }},
		"a restarted":    {verdict.Signs, first, func(_ *testing.T, _ *pair, a, _ *side) { a.restart() }},
		"both claim": {verdict.Claimed, none, func(t *testing.T, _ *pair, a, b *side) {
			b.kill()
			next := a.role()
			next.Epoch += 2
			_, err := a.signer.Become(t.Context(), next, nil)
			require.NoError(t, err)
			a.fence()
			a.kill()
			b.start()
			_, err = b.takeover()
			require.NoError(t, err)
			b.fence()
			a.start()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			a, b := p.begin()
			require.Equal(t, perLevel, a.bake(p.level))
			p.hear()
			b.node.followOnce(t.Context())
			c.let(t, p, a, b)
			p.hear()
			p.agree(c.is, c.by(a, b))
		})
	}
}

func first(a, _ *side) *side  { return a }
func second(_, b *side) *side { return b }
func none(_, _ *side) *side   { return nil }

// TestScreensOfAPairThatWasNeverActive, and of one of which only one side knows the other: who knows nothing says so.
func TestScreensOfAPairThatWasNeverActive(t *testing.T) {
	p := newPair(t)
	p.hear()
	p.agree(verdict.NeverActive, nil)

	a, b := p.begin()
	require.NoError(t, a.node.SetPeer(t.Context(), nil))
	_, err := b.node.Ask(t.Context())
	require.Error(t, err)
	require.Equal(t, "this instance", a.node.View().MaySign)

	alone := &side{t: t, name: 'c', dir: t.TempDir(), pair: p, gadget: newGadget(t), link: &cableEnd{&p.cable, b}}
	require.NoError(t, store.Create(t.Context(), alone.dir, time.Now()))
	alone.start()
	t.Cleanup(alone.kill)
	require.Equal(t, "nobody: this instance was never active", alone.node.View().MaySign)
	require.NoError(t, alone.node.SetPeer(t.Context(), &hwm.Peer{Address: "other:1", Key: a.node.Me()}))
	v := alone.node.View()
	require.Equal(t, "not known here: this instance was never active, and the peer was not heard", v.MaySign)
	require.Contains(t, v.Next[0], "peer show, on both")
}

// TestTheScreenOfAnOwnerWhoseDaemonIsDead: the first thing to do is to start the daemon, not the other machine, and no
// takeover.
func TestTheScreenOfAnOwnerWhoseDaemonIsDead(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	p.hear()
	a.kill()
	a.offline = true
	a.start()
	v := a.node.View()
	require.Equal(t, "nobody now: this instance owns the right, and the daemon of the owner does not run", v.MaySign)
	require.Len(t, v.Next, 1)
	require.Contains(t, v.Next[0], "systemctl start highwater")
	b.restart()
	v = b.node.View()
	require.Equal(t, "the peer, "+a.node.Me().Short(), v.MaySign)
}
