package failover

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
	"highwater/signer"
	"highwater/store"
)

// guarded is a pair, or one side alone, whose sides look at one chain. What is signed reaches the chain some blocks
// late.
type guarded struct {
	*pair
	t    *testing.T
	sim  *nodesim.Node
	late int // blocks between a signature and the chain
	way  []onItsWay
}

// onItsWay is a signature that the network carries to whoever makes the block after this one.
type onItsWay struct {
	after   int32
	pkh     tezos.PublicKeyHash
	payload []byte
	sig     tezos.Signature
}

// newGuarded makes a pair at the head of a chain, both on standby.
func newGuarded(t *testing.T, late int) *guarded {
	g := &guarded{pair: newPair(t), t: t, late: late, sim: nodesim.New(nodesim.Config{Chain: ghost, Level: start})}
	srv := httptest.NewServer(g.sim)
	t.Cleanup(srv.Close)
	for _, s := range g.sides {
		client, err := node.New(node.Config{URL: srv.URL})
		require.NoError(t, err)
		t.Cleanup(client.Close)
		s.octez = client
		s.restart()
		t.Cleanup(s.kill) // before the server ends
	}
	return g
}

// alone takes the second machine away.
func (g *guarded) alone() *side {
	a, b := g.sides[0], g.sides[1]
	b.kill()
	require.NoError(g.t, a.node.SetPeer(g.t.Context(), nil))
	return a
}

// watch runs the guard of a side, as the daemon does.
func (s *side) watch() {
	s.memory = guard.NewMemory()
	s.guard = guard.For(guard.Instance{
		Signer: s.signer, Store: s.store, Protocol: s.node, Heads: s.node.Heads(), Reader: chain.New(s.octez, ghost),
		Memory: s.memory,
	})
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { s.guard.Run(ctx) })
	s.blind = func() { cancel(); done.Wait() }
}

// bakes lets a side's baker ask for everything that it can at the chain's head: a block and a preattestation of the
// next level, an attestation of the head. It tells how much was signed.
func (g *guarded) bakes(s *side) (signed int) {
	g.t.Helper()
	head := g.sim.Head().Level
	for _, step := range []baker.Step{
		{Kind: tezos.Attestation, Level: head},
		{Kind: tezos.Block, Level: head + 1},
		{Kind: tezos.Preattestation, Level: head + 1},
	} {
		step.Chain, step.Variant = ghost, s.name
		for _, key := range s.gadget.keys {
			payload := step.Payload(key.PublicKey().Curve())
			sig, err := s.signer.Sign(g.t.Context(), key.PublicKey().Hash(), payload)
			if err != nil {
				continue
			}
			signed++
			g.send(key.PublicKey().Hash(), payload, sig)
		}
	}
	return signed
}

func (g *guarded) send(pkh tezos.PublicKeyHash, payload []byte, sig tezos.Signature) {
	g.way = append(g.way, onItsWay{g.sim.Head().Level + int32(g.late), pkh, payload, sig})
}

// stranger signs with our first key what nobody here did.
func (g *guarded) stranger(step baker.Step) {
	step.Chain, step.Variant = ghost, 'x'
	key := g.sides[0].gadget.keys[0]
	payload := step.Payload(key.PublicKey().Curve())
	g.send(key.PublicKey().Hash(), payload, key.Sign(payload))
}

// block makes the next block with what has arrived, and waits until every guard that runs has looked at it.
func (g *guarded) block() {
	g.t.Helper()
	head := g.sim.Head().Level
	var rest []onItsWay
	for _, s := range g.way {
		if s.after > head {
			rest = append(rest, s)
			continue
		}
		require.NoError(g.t, g.sim.Note(s.pkh, s.payload, s.sig))
	}
	g.way = rest
	g.sim.Advance()
	g.settle()
}

func (g *guarded) settle() {
	g.t.Helper()
	head := g.sim.Head()
	for _, s := range g.sides {
		if s.up && s.guard != nil {
			require.Eventually(g.t, func() bool { return s.guard.Status().Head == head }, 10*time.Second, time.Millisecond)
		}
	}
}

// run makes blocks while a side bakes all that it is asked for; how much was signed in the last of them comes back.
func (g *guarded) run(s *side, blocks int) (signed int) {
	g.t.Helper()
	for range blocks {
		signed = g.bakes(s)
		g.block()
	}
	return signed
}

// atATime is what all keys together sign at each block.
const atATime = 6

// ways into the active role. Each leaves a side that signs or will, when the one before it signed up to the chain's
// head; blocks is how many blocks pass before it may.
var ways = []struct {
	name   string
	blocks int
	into   func(g *guarded) *side
}{
	{"activated with the marks of another signer", 0, func(g *guarded) *side {
		a := g.alone()
		for range 4 { // another signer, and where it ended
			for _, key := range a.gadget.keys {
				for _, step := range []baker.Step{
					{Kind: tezos.Attestation, Level: g.sim.Head().Level},
					{Kind: tezos.Preattestation, Level: g.sim.Head().Level + 1},
				} {
					step.Chain, step.Variant = ghost, 'o'
					payload := step.Payload(key.PublicKey().Curve())
					g.send(key.PublicKey().Hash(), payload, key.Sign(payload))
				}
			}
			g.block()
		}
		for _, key := range a.gadget.keys {
			for kind, level := range map[tezos.Kind]int32{
				tezos.Attestation: g.sim.Head().Level - 1, tezos.Preattestation: g.sim.Head().Level,
				tezos.Block: g.sim.Head().Level,
			} {
				_, err := a.store.Raise([]hwm.Row{{
					Key:  hwm.Key{Chain: ghost, PKH: key.PublicKey().Hash(), Kind: kind},
					Mark: hwm.Mark{Position: hwm.Position{Level: level}, Source: hwm.SourceImport},
				}})
				require.NoError(g.t, err)
			}
		}
		_, err := a.node.Activate(g.t.Context(), nil, "imported")
		require.NoError(g.t, err)
		return a
	}},
	{"activated with a level", 1, func(g *guarded) *side {
		a := g.alone()
		for range 3 {
			g.stranger(baker.Step{Kind: tezos.Attestation, Level: g.sim.Head().Level})
			g.block()
		}
		level := g.sim.Head().Level + 1
		_, err := a.node.Activate(g.t.Context(), &level, "moved")
		require.NoError(g.t, err)
		return a
	}},
	{"from standby", 0, func(g *guarded) *side {
		a := g.alone()
		g.begins(a)
		_, err := a.node.Stand(g.t.Context(), "a pause")
		require.NoError(g.t, err)
		_, err = a.node.Activate(g.t.Context(), nil, "back")
		require.NoError(g.t, err)
		return a
	}},
	{"restarted alone", 0, func(g *guarded) *side {
		a := g.alone()
		g.begins(a)
		a.restart()
		return a
	}},
	{"restarted in a pair", 0, func(g *guarded) *side {
		a := g.begins(g.sides[0])
		a.restart()
		g.block() // it waits meanwhile
		require.False(g.t, a.signer.Active())
		_, err := a.node.Ask(g.t.Context())
		require.NoError(g.t, err)
		return a
	}},
	{"handed over live", 0, func(g *guarded) *side {
		g.begins(g.sides[0])
		return g.takes(g.sides[1], nil)
	}},
	{"handed over live, there and back", 0, func(g *guarded) *side {
		g.begins(g.sides[0])
		require.Equal(g.t, atATime, g.run(g.takes(g.sides[1], nil), 2))
		return g.takes(g.sides[0], nil)
	}},
	{"handed over by level", 3, func(g *guarded) *side {
		a := g.begins(g.sides[0])
		cut := g.sim.Head().Level + 3
		b := g.takes(g.sides[1], &cut)
		g.bakes(a)
		require.NotZero(g.t, g.run(a, 3), "up to the cut")
		return b
	}},
	{"by a certificate in a file", 3, func(g *guarded) *side {
		a, b := g.begins(g.sides[0]), g.sides[1]
		cut := g.sim.Head().Level + 3
		c, err := a.node.Release(g.t.Context(), cut)
		require.NoError(g.t, err)
		require.NotZero(g.t, g.run(a, 1))
		head := g.sim.Head().Level
		_, err = b.node.Accept(g.t.Context(), c, &head)
		require.NoError(g.t, err)
		require.NotZero(g.t, g.run(a, 2), "up to the cut")
		return b
	}},
	{"taken over", Margin, func(g *guarded) *side {
		a, b := g.begins(g.sides[0]), g.sides[1]
		g.bakes(a) // and nobody heard of it
		a.kill()
		head := g.sim.Head().Level
		_, err := b.node.Takeover(g.t.Context(), TakeoverRequest{CannotSign: true, Head: &head})
		require.NoError(g.t, err)
		return b
	}},
	{"taken over, restarted", Margin, func(g *guarded) *side {
		a, b := g.begins(g.sides[0]), g.sides[1]
		g.bakes(a)
		a.kill()
		head := g.sim.Head().Level
		_, err := b.node.Takeover(g.t.Context(), TakeoverRequest{CannotSign: true, Head: &head})
		require.NoError(g.t, err)
		a.start() // the old one comes back, and the new one is restarted
		_, err = a.node.Ask(g.t.Context())
		require.NoError(g.t, err)
		b.restart()
		_, err = b.node.Ask(g.t.Context())
		require.NoError(g.t, err)
		return b
	}},
}

// begins makes a side the active one, and lets it bake four blocks.
func (g *guarded) begins(a *side) *side {
	g.t.Helper()
	level := int32(start)
	_, err := a.node.Activate(g.t.Context(), &level, "begin")
	require.NoError(g.t, err)
	require.Equal(g.t, atATime, g.run(a, 4))
	return a
}

// takes hands over to a side.
func (g *guarded) takes(b *side, at *int32) *side {
	g.t.Helper()
	h, err := b.node.Handover(g.t.Context(), HandoverRequest{At: at})
	require.NoError(g.t, err)
	require.True(g.t, h.Done)
	return b
}

// However an instance came to sign, what was signed before, by whom ever it was and however late it comes on chain, is
// no alarm; and a twin is one, within two blocks of its signature being there.
func TestEveryWayIntoTheActiveRole(t *testing.T) {
	for _, way := range ways {
		for late := range 4 {
			t.Run(fmt.Sprintf("%s, %d late", way.name, late), func(t *testing.T) {
				t.Parallel()
				g := newGuarded(t, late)
				s := way.into(g)
				require.Equal(t, hwm.Active, s.role().Role)
				g.run(s, way.blocks+1)
				require.Equal(t, atATime, g.run(s, 4))
				for _, side := range g.sides {
					if side.up {
						require.Empty(t, side.alarms())
						require.NotEqual(t, hwm.Fenced, side.role().Role, side.role().Why)
						require.NoError(t, side.guard.Status().Err)
					}
				}
				require.True(t, s.guard.Status().Watching)

				epoch := s.role().Epoch
				g.late = 0
				g.stranger(baker.Step{Kind: tezos.Attestation, Level: g.sim.Head().Level})
				g.block()
				g.block()
				require.Equal(t, hwm.Fenced, s.role().Role)
				require.Equal(t, epoch, s.role().Epoch)
				require.Zero(t, g.bakes(s))
				alarms := s.alarms()
				require.Equal(t, signer.AlarmTwin, alarms[0].Name)
				require.Contains(t, alarms[0].Text, "seen in block B")
				require.Contains(t, s.role().Why, alarms[0].Text, "the reason is not cut")
			})
		}
	}
}

// An owner that was restarted, and cannot ask whether it may still sign, does not take the other one's signatures for a
// twin's.
func TestWhoWaitsDoesNotFence(t *testing.T) {
	g := newGuarded(t, 0)
	a, b := g.begins(g.sides[0]), g.sides[1]
	a.kill()
	head := g.sim.Head().Level
	_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &head})
	require.NoError(t, err)
	g.cable.cut = true
	a.start()
	require.Equal(t, atATime, g.run(b, Margin+3))
	require.Equal(t, hwm.Active, a.role().Role, "it waits")
	require.Empty(t, a.alarms())
	g.cable.cut = false
	_, err = a.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, a.role().Role)
	require.Equal(t, atATime, g.run(b, 2))
	require.Empty(t, a.alarms())
	require.Empty(t, b.alarms())
}

// The other side was said to be dead, and lives: the new one ends within two blocks of what it saw, before it may sign
// at all.
func TestTheStatementWasFalse(t *testing.T) {
	g := newGuarded(t, 0)
	a, b := g.begins(g.sides[0]), g.sides[1]
	g.cable.cut = true
	head := g.sim.Head().Level
	_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &head})
	require.NoError(t, err)
	for range 4 {
		g.bakes(a)
		require.Zero(t, g.bakes(b))
		g.block()
	}
	require.Equal(t, hwm.Fenced, b.role().Role)
	require.Equal(t, signer.AlarmTwin, b.alarms()[0].Name)
	require.Equal(t, hwm.Active, a.role().Role, "it saw nothing but its own")
}

// The guard's fence is for the epoch in which it saw something, and for no other; whatever else happens at that moment.
func TestAFenceIsForItsEpoch(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	for _, epoch := range []uint64{0, 2} {
		fenced, err := a.node.Fence(epoch, "elsewhere")
		require.NoError(t, err)
		require.False(t, fenced)
	}
	require.Equal(t, perLevel, a.bake(p.level))
	fenced, err := b.node.Fence(b.role().Epoch, "elsewhere")
	require.NoError(t, err)
	require.False(t, fenced, "no right to sign")

	for range 50 { // the right goes away, and comes back, while an alarm about the old epoch is on its way
		epoch := a.role().Epoch
		var late sync.WaitGroup
		late.Go(func() {
			fenced, err = a.node.Fence(epoch, "elsewhere")
		})
		_, asked := b.node.askForIt(t.Context())
		late.Wait()
		require.NoError(t, err)
		if fenced {
			is(t, asked, wire.IsFenced)
			require.Equal(t, epoch, a.role().Epoch)
			return
		}
		require.NoError(t, asked)
		require.Equal(t, hwm.Standby, a.role().Role)
		_, err = a.node.askForIt(t.Context())
		require.NoError(t, err)
		fenced, err = a.node.Fence(epoch, "elsewhere")
		require.NoError(t, err)
		require.False(t, fenced)
		p.level++
		require.Equal(t, perLevel, a.bake(p.level))
	}
}

// What a device works on when the twin is seen never leaves, however long that takes; and nothing waits for it.
func TestAFenceGivesUpWhatIsUnderWay(t *testing.T) {
	p := newPair(t)
	a, _ := p.begin()
	a.givesUp(p.level, func() {
		fenced, err := a.node.Fence(1, "elsewhere")
		require.NoError(t, err)
		require.True(t, fenced)
	})
}

// A state directory that was put back is called that, beside the twin for which its newer self is taken; a mark of this
// run is not.
func TestAnOldStateOnChain(t *testing.T) {
	g := newGuarded(t, 0)
	a := g.alone()
	g.begins(a)
	a.kill()
	file := filepath.Join(a.dir, store.FileName)
	old, err := os.ReadFile(file)
	require.NoError(t, err)
	a.start()
	g.run(a, 3)
	require.Empty(t, a.alarms())
	a.kill()
	require.NoError(t, os.WriteFile(file, old, 0o600))
	a.start()
	g.settle()
	require.Equal(t, hwm.Fenced, a.role().Role)
	names := []signer.AlarmName{}
	for _, alarm := range a.alarms() {
		names = append(names, alarm.Name)
	}
	require.Equal(t, []signer.AlarmName{signer.AlarmTwin, signer.AlarmRollback, signer.AlarmRollback}, names,
		"and each key's marks are too old")
	require.Contains(t, a.alarms()[1].Text, fmt.Sprintf("up to level %d", g.sim.Head().Level-1))

	g = newGuarded(t, 0)
	a = g.begins(g.alone())
	g.stranger(baker.Step{Kind: tezos.Attestation, Level: g.sim.Head().Level})
	g.block()
	require.Len(t, a.alarms(), 1)
	require.Equal(t, signer.AlarmTwin, a.alarms()[0].Name)
}

// TestASmallMarginIsNoAlarm: an operator who takes over with the least margin is not stopped by what the dead one
// signed last: how far above it the floors are is what this takeover's margin says, after a restart too.
func TestASmallMarginIsNoAlarm(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		for late := range 4 {
			t.Run(fmt.Sprintf("restarted %t, %d late", restarted, late), func(t *testing.T) {
				t.Parallel()
				g := newGuarded(t, late)
				a, b := g.begins(g.sides[0]), g.sides[1]
				g.bakes(a)
				a.kill()
				head := g.sim.Head().Level
				_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &head, Margin: level(MinMargin)})
				require.NoError(t, err)
				if restarted {
					a.start()
					_, err = a.node.Ask(t.Context())
					require.NoError(t, err)
					b.restart()
					_, err = b.node.Ask(t.Context())
					require.NoError(t, err)
				}
				require.NotZero(t, g.run(b, MinMargin+4))
				require.Equal(t, hwm.Active, b.role().Role, b.role().Why)
			})
		}
	}
}

// A node that shows what no key signed ends nothing: the instance says so, and signs on. What a key did sign still
// fences.
func TestALieOfTheNodeFencesNothing(t *testing.T) {
	g := newGuarded(t, 0)
	a := g.begins(g.alone())
	require.NotZero(t, g.bakes(a))
	g.block()
	key := a.gadget.keys[0]
	lie := baker.Step{Kind: tezos.Block, Level: g.sim.Head().Level + 1, Chain: ghost, Variant: 'x'}.Payload(
		key.PublicKey().Curve())
	g.send(key.PublicKey().Hash(), lie, key.Sign([]byte("something else")))
	g.block()
	require.Equal(t, hwm.Active, a.role().Role)
	require.Len(t, a.alarms(), 1)
	require.Equal(t, signer.AlarmUnproven, a.alarms()[0].Name)
	require.NotZero(t, g.bakes(a))
	g.block()
	g.stranger(baker.Step{Kind: tezos.Attestation, Level: g.sim.Head().Level})
	g.block()
	g.block()
	require.Equal(t, hwm.Fenced, a.role().Role)
	require.Zero(t, g.bakes(a))
}
