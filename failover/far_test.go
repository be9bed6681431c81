package failover

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer"
)

// farLevel is where nothing of the chain can be.
const farLevel = 3_000_000

// strayed puts one key's mark of a side where a device of another chain, or an operator's slip, put it.
func (s *side) strayed(kind tezos.Kind) hwm.Key {
	s.t.Helper()
	key := hwm.Key{Chain: ghost, PKH: s.gadget.keys[0].PublicKey().Hash(), Kind: kind}
	_, err := s.store.Raise([]hwm.Row{
		{Key: key, Mark: hwm.Mark{Position: hwm.Position{Level: farLevel}, At: time.Now(), Source: hwm.SourceDevice}},
	})
	require.NoError(s.t, err)
	return key
}

func (s *side) levelOf(key hwm.Key) int32 {
	s.t.Helper()
	st, err := s.store.State(key)
	require.NoError(s.t, err)
	if st.Mark == nil {
		return -1
	}
	return st.Mark.Level
}

func (s *side) seesOtherChain() {
	s.t.Helper()
	for _, a := range s.alarms() {
		if a.Name == signer.AlarmOtherChain {
			require.Contains(s.t, a.Text, "the peer")
			return
		}
	}
	s.t.Fatal("no alarm")
}

// The standby's marks went far: the owner that is restarted takes none of them, and signs on.
func TestARestartTakesNoFarMarks(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	follow(t, p)
	key := b.strayed(tezos.Attestation)
	a.restart()
	_, err := a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, p.level, a.levelOf(key))
	a.seesOtherChain()
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
}

// The owner's marks went far: the standby does not follow them, but it follows the others.
func TestAStandbyFollowsNoFarMarks(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	follow(t, p)
	key := a.strayed(tezos.Block)
	p.level++
	a.bake(p.level)
	tell(t, a, b)
	require.Equal(t, p.level-1, b.levelOf(key))
	key.Kind = tezos.Attestation
	require.Equal(t, p.level, b.levelOf(key))
	b.seesOtherChain()
}

// tell has a side follow another one's marks once.
func tell(t *testing.T, from, to *side) {
	t.Helper()
	peer, _ := from.store.Peer()
	report, err := from.node.report(peer)
	require.NoError(t, err)
	require.NoError(t, to.node.onFollow(t.Context(), over(t, wire.Answer{Hello: from.node.hello(), Status: report})))
}

// A standby that has nothing yet compares with the head of its node.
func TestANewStandbyFollowsNoFarMarks(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	key := a.strayed(tezos.Block)
	b.node.Heads().Saw(p.level, time.Now())
	tell(t, a, b)
	require.Equal(t, int32(-1), b.levelOf(key))
	key.Kind = tezos.Attestation
	require.Equal(t, int32(start), b.levelOf(key))
}

// A certificate with far marks, or for a far level, gives nothing: no mark moves, and the role stays. A handover says
// so before the right is given away.
func TestACertificateWithFarMarks(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	follow(t, p)
	refused := func(c *wire.Certificate) {
		t.Helper()
		was, role := b.role(), hwm.Key{Chain: ghost, PKH: a.gadget.keys[0].PublicKey().Hash(), Kind: tezos.Block}
		at := b.levelOf(role)
		head := p.level
		_, err := b.node.Accept(t.Context(), c, &head)
		is(t, err, wire.TooFar)
		require.NotEmpty(t, wire.AsRefusal(err).Hint)
		require.Equal(t, was, b.role())
		require.Equal(t, at, b.levelOf(role))
	}
	_, err := a.node.Release(t.Context(), farLevel)
	is(t, err, wire.TooFar)
	marks, err := a.node.marks.Durable()
	require.NoError(t, err)
	made := func(level int32, marks []wire.Mark) *wire.Certificate {
		c, signErr := wire.Certificate{
			Protocol: wire.Protocol, Chain: ghost, From: a.node.Me(), To: b.node.Me(), Epoch: a.role().Epoch + 1, Level: &level,
			Marks: marks, When: time.Now(),
		}.Sign(a.store.Identity())
		require.NoError(t, signErr)
		return c
	}
	refused(made(farLevel, marks))
	low := int32(5)
	c := made(low+2*hwm.FarLevels, nil)
	is(t, b.node.checkOffline(c, &low), wire.TooFar)
	marks[0].Level = farLevel
	refused(made(p.level+5, marks))

	a.strayed(tezos.Block)
	_, err = b.node.Handover(t.Context(), HandoverRequest{})
	is(t, err, wire.NotReady)
	require.ErrorContains(t, err, "marks: the peer's")
	require.Equal(t, hwm.Active, a.role().Role, "it still signs")
}

// The mark of one key that went far stops that key only: a takeover does not put the floor of all above it, when a node
// says where the chain is; nor above what the other instance told of.
func TestATakeoverIsNotLedAway(t *testing.T) {
	p, _, b, c := bereft(t)
	floor := floorOf(t, b, TakeoverRequest{})
	b.strayed(tezos.Block)
	require.Equal(t, floor, floorOf(t, b, TakeoverRequest{}))
	c.at(p.level+1, 1)
	require.Equal(t, floor+1, floorOf(t, b, TakeoverRequest{}))
}
