package failover

import (
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
)

// octezPair is a pair whose second side has an emulated octez node, in which its keys have rights; another baker bakes
// every block.
func octezPair(t *testing.T) (*pair, *nodesim.Node) {
	return octezPairWith(t, func(level int32) bool { return level != start+6 }) // one level without any
}

// octezPairWith has the levels at which its keys have to attest.
func octezPairWith(t *testing.T, duty func(level int32) bool) (*pair, *nodesim.Node) {
	p := newPair(t)
	b := p.sides[1]
	stranger := newKey(t).PublicKey().Hash()
	bakers := slices.Repeat([]node.Signer{{Delegate: stranger, Key: stranger}}, 30) // bakes whatever a test gets to
	for _, k := range b.gadget.keys {
		bakers = append(bakers, node.Signer{Delegate: k.PublicKey().Hash(), Key: k.PublicKey().Hash()})
	}
	sim := nodesim.New(nodesim.Config{
		Chain: ghost, Level: start, Bakers: bakers, HasRights: func(level int32, s node.Signer) bool {
			return duty(level) && s.Key != stranger
		},
	})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	client, err := node.New(node.Config{URL: srv.URL})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	b.chain = chain.New(client, ghost)
	b.restart()
	return p, sim
}

// attest puts what a side signs at the head's level on chain, and makes the next block.
func attest(t *testing.T, s *side, sim *nodesim.Node) {
	level := sim.Head().Level
	for _, key := range s.gadget.keys {
		payload := baker.Step{Chain: ghost, Kind: tezos.Attestation, Level: level, Variant: s.name}.Payload(
			key.PublicKey().Curve())
		sig, err := s.signer.Sign(t.Context(), key.PublicKey().Hash(), payload)
		require.NoError(t, err)
		require.NoError(t, sim.Note(key.PublicKey().Hash(), payload, sig))
	}
	sim.Advance()
}

func TestSilenceIsCountedWhereThereWereRights(t *testing.T) {
	p, sim := octezPair(t)
	a, b := p.begin()
	sim.Advance()
	for range 3 {
		attest(t, a, sim) // levels 1001 to 1003
	}
	s, err := b.chain.Silence(t.Context(), b.node.keys.PKHs())
	require.NoError(t, err)
	require.Equal(t, chain.Silence{Head: start + 4, LastOwn: start + 3, Since: start - 1}, s)
	a.kill()
	for range 4 { // the head goes to 1008: 1004 to 1007 are silent, and at 1006 there were no rights
		sim.Advance()
	}
	s, err = b.chain.Silence(t.Context(), b.node.keys.PKHs())
	require.NoError(t, err)
	require.Equal(t, chain.Silence{Head: start + 8, LastOwn: start + 3, Silent: 3, Since: start - 1}, s)

	// The evidence decides: one level more is wanted than there was.
	_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Silence: s.Silent + 1})
	is(t, err, wire.NotReady)
	require.Contains(t, err.Error(), "silence")
	sim.Advance()
	done, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Silence: s.Silent + 1})
	require.NoError(t, err)
	require.Equal(t, int32(start+8+MinMargin), done.Floor, "above the head when it was stated")
	require.Contains(t, done.Reason, "head")
	require.Equal(t, hwm.Active, b.role().Role)
}

func TestANodeThatIsNotInStepStandsInTheWay(t *testing.T) {
	p, sim := octezPair(t)
	a, b := p.begin()
	for _, f := range []nodesim.Faults{{State: "unsynced"}, {Starting: true}, {Down: true}, {Chain: tezos.ChainID{9}}} {
		sim.SetFaults(f)
		_, err := b.node.Handover(t.Context(), HandoverRequest{})
		is(t, err, wire.NotReady)
		require.Contains(t, err.Error(), "node")
		c := &wire.Certificate{Level: level(start + 5)}
		_, err = b.node.Accept(t.Context(), c, level(start))
		is(t, err, wire.NotReady)
	}
	sim.SetFaults(nodesim.Faults{})
	sim.Advance()
	b.handover()
	require.Equal(t, hwm.Standby, a.role().Role)
}
