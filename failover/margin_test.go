package failover

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/tezos"
)

// told is a chain that says what a test wants.
type told struct {
	head    chain.Head
	silence chain.Silence
}

func (c *told) Head(context.Context) (chain.Head, error) { return c.head, nil }

func (c *told) Silence(context.Context, []tezos.PublicKeyHash) (chain.Silence, error) {
	return c.silence, nil
}

func (c *told) Rights(context.Context, []tezos.PublicKeyHash, int32, int) (chain.Rights, error) {
	return chain.Rights{}, nil
}

func (c *told) at(level int32, silent int) {
	c.head = chain.Head{Chain: ghost, Level: level, Synced: true, Age: time.Second}
	c.silence = chain.Silence{Head: level, LastOwn: level - int32(silent) - 1, Silent: silent, Since: start}
}

// bereft is a pair whose first side has died, at the level of the second one's node.
func bereft(t *testing.T) (p *pair, a, b *side, c *told) {
	t.Helper()
	p = newPair(t)
	a, b = p.begin()
	c = &told{}
	b.node.heads.Chain = c
	a.kill()
	c.at(p.level, 0)
	return p, a, b, c
}

func floorOf(t testing.TB, b *side, r TakeoverRequest) int32 {
	t.Helper()
	r.Check, r.CannotSign = true, true
	x, err := b.node.Takeover(t.Context(), r)
	require.NoError(t, err)
	return x.Floor
}

// With three silent levels the floor is three above the head at the time of the statement, however long they took.
func TestTheMarginThatSilenceBuys(t *testing.T) {
	p, _, b, c := bereft(t)
	stated := p.level
	require.Equal(t, stated+Margin, floorOf(t, b, TakeoverRequest{Silence: 3}), "nothing is known yet")
	for silent := 1; silent < enoughSilence; silent++ {
		c.at(stated+1+int32(silent), silent)
		require.Equal(t, stated+1+int32(silent)+Margin, floorOf(t, b, TakeoverRequest{Silence: 3}))
	}
	c.at(stated+4, 3)
	done, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Silence: 3})
	require.NoError(t, err)
	require.Equal(t, stated+MinMargin, done.Floor)
	require.Contains(t, done.Reason, "at the time of the statement, and a margin of 3")
	p.level = done.Floor
	require.Zero(t, b.bake(p.level))
	p.level++
	require.Equal(t, perLevel, b.bake(p.level),
		"the level of the head, which is the first that the other side cannot have signed")
	require.Zero(t, b.node.TakeoverMargin(), "the guard takes no level below the floor for nobody's")
}

// Whatever casts doubt on where the other side was brings the whole margin back.
func TestTheMarginWithoutEvidence(t *testing.T) {
	for name, doubt := range map[string]func(p *pair, a, b *side, c *told) (TakeoverRequest, int32){
		"the head was old when it was stated": func(p *pair, _, b *side, c *told) (TakeoverRequest, int32) {
			c.head.Age = freshHead + time.Second
			floorOf(p.t, b, TakeoverRequest{})
			c.at(p.level+4, 3)
			c.head.Age = freshHead + time.Second
			return TakeoverRequest{}, p.level + 4 + Margin
		},
		"the clock here is behind": func(p *pair, _, _ *side, c *told) (TakeoverRequest, int32) {
			c.at(p.level+4, 3)
			c.head.Age = -freshHead - time.Second
			return TakeoverRequest{}, p.level + 4 + Margin
		},
		"our keys were seen above it": func(p *pair, _, b *side, c *told) (TakeoverRequest, int32) {
			floorOf(p.t, b, TakeoverRequest{})
			c.at(p.level+9, 3) // at level + 5
			return TakeoverRequest{}, p.level + 9 + Margin
		},
		"an operator wants more": func(p *pair, _, b *side, c *told) (TakeoverRequest, int32) {
			floorOf(p.t, b, TakeoverRequest{})
			c.at(p.level+4, 3)
			return TakeoverRequest{Margin: level(20)}, p.level + 4 + 20
		},
		"marks are above it": func(p *pair, _, b *side, c *told) (TakeoverRequest, int32) {
			floorOf(p.t, b, TakeoverRequest{})
			_, err := b.store.Raise(b.signer.Floors(p.level+MinMargin+1, hwm.SourceSet))
			require.NoError(p.t, err)
			c.at(p.level+4, 3)
			return TakeoverRequest{}, p.level + 4 + Margin
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, b, c := bereft(t)
			p.t = t
			r, want := doubt(p, a, b, c)
			require.Equal(t, want, floorOf(t, b, r))
		})
	}
}

// A statement is the one that is repeated all the while. Who comes back later, or was wrong, states anew.
func TestAStatementOfItsTime(t *testing.T) {
	p, a, b, c := bereft(t)
	first := p.level
	floorOf(t, b, TakeoverRequest{})
	c.at(first+4, 3)
	require.Equal(t, first+MinMargin, floorOf(t, b, TakeoverRequest{}))

	// Who only looks states nothing, and ends no statement.
	look, err := b.node.Takeover(t.Context(), TakeoverRequest{Check: true})
	require.NoError(t, err)
	require.Equal(t, first+4+Margin, look.Floor)
	require.Equal(t, first+MinMargin, floorOf(t, b, TakeoverRequest{}))

	b.node.stated.mu.Lock()
	b.node.stated.made.last = b.node.stated.made.last.Add(-repeated - time.Second)
	b.node.stated.mu.Unlock()
	require.Equal(t, first+4+MinMargin, floorOf(t, b, TakeoverRequest{}), "another one")

	a.start() // and lives
	_, err = b.node.Takeover(t.Context(), TakeoverRequest{Check: true, CannotSign: true})
	require.NoError(t, err)
	a.kill()
	c.at(first+9, 8)
	require.Equal(t, first+9+MinMargin, floorOf(t, b, TakeoverRequest{}), "the one before was not true")
}

// A statement ends with what it was about: once the other side was heard, or the right moved, the head of that time
// bounds nothing.
func TestAStatementThatTimePassedBy(t *testing.T) {
	back := func(p *pair, a, b *side, _ *told) {
		a.start()
		_, err := b.node.Ask(p.t.Context())
		require.NoError(p.t, err)
		a.kill()
	}
	for name, meanwhile := range map[string]func(p *pair, a, b *side, c *told){
		"the other side came back": back,
		"the right moved": func(p *pair, _, b *side, c *told) {
			c.at(p.level+4, 3)
			done, err := b.node.Takeover(p.t.Context(), TakeoverRequest{CannotSign: true, Silence: 3})
			require.NoError(p.t, err)
			require.Equal(p.t, p.level+MinMargin, done.Floor)
			_, err = b.node.Release(p.t.Context(), done.Floor+1) // on foot: nothing is heard
			require.NoError(p.t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, b, c := bereft(t)
			p.t = t
			first := p.level
			back(p, a, b, c) // now b knows the epoch
			floorOf(t, b, TakeoverRequest{})
			meanwhile(p, a, b, c)
			c.at(first+20, 8)
			c.silence.LastOwn = -1 // the other side was cut off from the chain
			require.GreaterOrEqual(t, floorOf(t, b, TakeoverRequest{CertificateDestroyed: true}), first+20+MinMargin)
		})
	}
}

// TestAMistypedHead: a digit too many makes no floor, which would be for good.
func TestAMistypedHead(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, perLevel, a.bake(p.level))
	a.kill()
	r := TakeoverRequest{CannotSign: true, Head: level(p.level * 10_000)}
	_, err = b.node.Takeover(t.Context(), r)
	is(t, err, wire.NotReady)
	require.ErrorContains(t, err, "head: the stated level")
	require.NotEqual(t, hwm.Active, b.role().Role)
	r.Head = level(start + hwm.FarLevels)
	checked, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: r.Head, Check: true})
	require.NoError(t, err)
	require.True(t, checked.Ready)
	r.Head, r.Far = level(p.level*10_000), true
	done, err := b.node.Takeover(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, p.level*10_000+Margin, done.Floor)
}
