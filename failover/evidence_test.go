package failover

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
)

// gone is a pair whose first side signed and is dead; the second has a chain of which the test decides.
func gone(t *testing.T) (p *pair, b *side, chain *fakeChain) {
	p, a, b, chains := chained(t)
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	a.kill()
	return p, b, chains[1]
}

// TestTheSilenceIsCountedDown: each line says how far it has come, for people and for programs, and the takeover is
// there at the last.
func TestTheSilenceIsCountedDown(t *testing.T) {
	p, b, fake := gone(t)
	own := p.level
	silence := chain.Silence{Head: own + 1, LastOwn: own, Since: own - 15}
	fake.silence = func() (chain.Silence, error) { return silence, nil }
	ask := TakeoverRequest{Check: true, CannotSign: true, Silence: 3}
	for n := range 3 {
		silence.Silent = n
		c, err := b.node.Takeover(t.Context(), ask)
		require.NoError(t, err)
		require.False(t, c.Ready)
		f := checklist.Stands(c.Findings)
		require.Equal(t, "silence", f.Name)
		require.Equal(t, checklist.Waiting, f.Result)
		require.Contains(t, f.Detail, []string{"0 of 3", "1 of 3", "2 of 3"}[n])
		require.Contains(t, f.Detail, "last seen at level 1001, and the head is at 1002")
		require.Equal(t, &SilenceSeen{Levels: n, Wanted: 3, LastOwn: &own, Since: own - 15, Head: own + 1}, c.Silence)
	}
	silence.Silent, silence.LastOwn = 3, -1
	c, err := b.node.Takeover(t.Context(), ask)
	require.NoError(t, err)
	require.True(t, c.Ready, "%v", c.Findings)
	require.Nil(t, c.Silence.LastOwn)
	require.Contains(t, c.Findings[len(c.Findings)-1].Detail,
		"3 silent levels at which our keys had rights; not seen since level 986")
	text, err := json.Marshal(c)
	require.NoError(t, err)
	require.Contains(t, string(text), `"silence":{"levels":3,"wanted":3,"last_own":null,"since":986,"head":1002}`)
}

// TestSomebodyLivesThere: whatever answers at the other instance's address keeps a takeover out, however odd the
// answer: the one that does not know this instance any more may well sign, and one with this instance's key says that a
// state directory was copied.
func TestSomebodyLivesThere(t *testing.T) {
	p, proxies := newTLSPair(t)
	a, b := p.begin()
	_, err := b.node.Ask(t.Context())
	require.NoError(t, err)
	ask := TakeoverRequest{CannotSign: true, Head: &p.level}
	stopped := func(want string) {
		t.Helper()
		_, err = b.node.Takeover(t.Context(), ask)
		is(t, err, wire.NotReady)
		require.ErrorContains(t, err, "other instance: ")
		require.ErrorContains(t, err, want)
		require.Contains(t, wire.AsRefusal(err).Hint, "stop the process on the peer's machine first; or: ")
		require.Equal(t, hwm.Standby, b.role().Role)
	}
	require.NoError(t, a.node.SetPeer(t.Context(), nil))
	stopped("does not accept the key of this instance")
	peer, _ := b.store.Peer()
	peer.Address = proxies[1].address()
	require.NoError(t, b.node.SetPeer(t.Context(), &peer))
	stopped("this instance's own key")

	link := b.node.link
	for _, odd := range []error{
		wire.Refuse(wire.WrongVersion, "the same version", "it speaks version 9"),
		errors.New("a message that cannot be read"),
	} {
		b.node.link = oddLink{link, odd}
		stopped(odd.Error())
	}
	b.node.link = oddLink{link, wire.Refuse(wire.Unreachable, "is it running?", "connection refused")}
	_, err = b.node.Takeover(t.Context(), ask)
	require.NoError(t, err)
	require.Equal(t, hwm.Active, b.role().Role)
}

// oddLink has one answer to everything.
type oddLink struct {
	Link
	err error
}

func (o oddLink) Call(context.Context, hwm.Peer, string, wire.Question) (wire.Answer, error) {
	return wire.Answer{}, o.err
}

// TestASilenceThatCannotBeSeen stands in the way, unless it is not wanted at all by leaving the node out.
func TestASilenceThatCannotBeSeen(t *testing.T) {
	_, b, fake := gone(t)
	fake.silence = func() (chain.Silence, error) { return chain.Silence{}, errors.New("the node has no rights") }
	_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Silence: 3})
	is(t, err, wire.NotReady)
	require.Contains(t, err.Error(), "the node has no rights")
	fake.head = func() (chain.Head, error) { return chain.Head{}, errors.New("gone") }
	c, err := b.node.Takeover(t.Context(), TakeoverRequest{Check: true, CannotSign: true, Silence: 3})
	require.NoError(t, err)
	require.Nil(t, c.Silence)
	require.Equal(t, "node", checklist.Stands(c.Findings).Name)
}
