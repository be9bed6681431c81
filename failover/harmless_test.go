package failover

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/heard"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/tezos"
)

// What the checklist calls harmless of an instance that answers must be: a certificate for it may be on its way, and it
// would sign with it. (Found by the model: EVIDENCE_GIVEN.)
func TestNoTakeoverBesideACertificateUnderWay(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	c, err := b.node.askRelease(t.Context(), b.peer(), nil)
	require.NoError(t, err)
	_, err = a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
	is(t, err, wire.NotReady)
	require.NoError(t, b.node.onCertificate(t.Context(), c, nil))
	require.NotZero(t, b.bake(p.level+1))
	require.Zero(t, a.bake(p.level+1))

	// One that is fenced does not take it, so this is no reason to wait.
	_, err = b.node.Fence(b.role().Epoch, "somebody else signed")
	require.NoError(t, err)
	_, err = a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
	require.NoError(t, err)
}

// meanwhile is a chain beside which something happens while it is looked at.
type meanwhile struct {
	heard.Chain
	head tezos.ChainID
	at   int32
	do   func()
}

func (m meanwhile) Head(context.Context) (chain.Head, error) {
	return chain.Head{Chain: m.head, Level: m.at, Synced: true}, nil
}

func (m meanwhile) Silence(context.Context, []tezos.PublicKeyHash) (chain.Silence, error) {
	m.do()
	return chain.Silence{Head: m.at, LastOwn: -1}, nil
}

// Evidence that was gathered before the right was given away says nothing: live, or by level on a stick.
func TestNoTakeoverWhenTheRightWentMeanwhile(t *testing.T) {
	for name, give := range map[string]func(a, b *side) error{
		"live": func(_, b *side) error {
			_, err := b.node.askRelease(t.Context(), b.peer(), nil)
			return err
		},
		"on a stick": func(a, _ *side) error {
			_, err := a.node.Release(t.Context(), a.pair.level+20)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			a, b := p.begin()
			_, err := a.node.Stand(t.Context(), "for a while")
			require.NoError(t, err)
			_, err = b.node.Ask(t.Context())
			require.NoError(t, err)
			a.node.heads.Chain = meanwhile{head: ghost, at: p.level, do: func() { require.NoError(t, give(a, b)) }}
			_, err = a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true})
			is(t, err, wire.NotReady)
			require.Equal(t, b.node.Me(), a.role().Owner)
			require.Zero(t, a.bake(p.level+5))
		})
	}
}

// through is a link whose calls a test decides.
type through struct {
	Link
	call func(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) (wire.Answer, error)
}

func (l through) Call(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) (wire.Answer, error) {
	return l.call(ctx, peer, verb, q)
}

// Of two activations at one side the first that ends must not hide the other one. (Found by the model: ONE_FLAG.)
func TestTwoActivationsAtOneSide(t *testing.T) {
	p := newPair(t)
	a, b := p.sides[0], p.sides[1]
	link := a.node.link
	heard, goOn, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	first := int32(start)
	a.node.link = through{link, func(ctx context.Context, peer hwm.Peer, verb string, q wire.Question) (
		wire.Answer, error,
	) {
		answer, err := link.Call(ctx, peer, verb, q)
		close(heard)
		<-goOn
		return answer, err
	}}
	go func() {
		_, err := a.node.Activate(t.Context(), &first, "one operator")
		done <- err
	}()
	<-heard
	a.node.link = through{link, func(context.Context, hwm.Peer, string, wire.Question) (wire.Answer, error) {
		return wire.Answer{}, wire.Refuse(wire.Unreachable, "", "lost")
	}}
	_, err := a.node.Activate(t.Context(), &first, "another operator")
	is(t, err, wire.Unreachable)
	_, err = b.node.Activate(t.Context(), &first, "on the other machine")
	is(t, err, wire.NotOwner)
	close(goOn)
	require.NoError(t, <-done)
	require.Equal(t, perLevel, a.bake(start+1))
	require.Zero(t, b.bake(start+1))
}

// An old copy of the owner's state gives nothing away: what was signed since then is not in its marks.
func TestAnOldCopyGivesNothingAway(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := a.node.Stand(t.Context(), "for a while")
	require.NoError(t, err)
	a.kill()
	file := filepath.Join(a.dir, "marks.db")
	old, err := os.ReadFile(file)
	require.NoError(t, err)
	a.start()
	_, err = a.node.Activate(t.Context(), nil, "again")
	require.NoError(t, err)
	require.Equal(t, perLevel, a.bake(p.level))
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	a.kill()
	require.NoError(t, os.WriteFile(file, old, 0o600))
	a.start()
	_, err = b.node.askRelease(t.Context(), b.peer(), nil)
	is(t, err, wire.OldState)
	require.NotEmpty(t, a.alarms())
	require.Zero(t, b.bake(p.level))
}

// The other side remembers the newest epoch that it heard: what says less later has lost its state.
func TestAnOldCopyIsKnownByItsEpoch(t *testing.T) {
	restore := func(s *side, then func()) {
		file := filepath.Join(s.dir, "marks.db")
		s.kill()
		old, err := os.ReadFile(file)
		require.NoError(t, err)
		s.start()
		then()
		s.kill()
		require.NoError(t, os.WriteFile(file, old, 0o600))
		s.start()
	}
	p := newPair(t)
	a, b := p.begin()
	restore(a, func() {
		_, err := a.node.Stand(t.Context(), "for a while")
		require.NoError(t, err)
		_, err = a.node.Activate(t.Context(), nil, "again")
		require.NoError(t, err)
		_, err = b.node.Ask(t.Context())
		require.NoError(t, err)
	})
	_, err := a.node.Ask(t.Context())
	is(t, err, wire.OldState)
	require.Zero(t, a.bake(p.level))

	p = newPair(t)
	a, b = p.begin()
	restore(b, func() {
		b.handover()
		_, err = b.node.Ask(t.Context())
		require.NoError(t, err)
		require.Equal(t, perLevel, b.bake(p.level))
	})
	_, err = b.node.askRelease(t.Context(), b.peer(), nil)
	is(t, err, wire.OldState)
	require.Zero(t, b.bake(p.level))
	require.Zero(t, a.bake(p.level))
}
