package failover

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/moment"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/device"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
)

// fakeChain is a chain of which a test decides the answers.
type fakeChain struct {
	head    func() (chain.Head, error)
	silence func() (chain.Silence, error)
	rights  func(head int32, ahead int) (chain.Rights, error)
	asked   int
}

// turns makes rights of pairs of a level and a round.
func turns(pairs ...int32) (out []chain.Right) {
	for pair := range slices.Chunk(pairs, 2) {
		out = append(out, chain.Right{Level: pair[0], Round: pair[1]})
	}
	return out
}

func (f *fakeChain) Head(context.Context) (chain.Head, error) { return f.head() }

func (f *fakeChain) Silence(_ context.Context, _ []tezos.PublicKeyHash) (chain.Silence, error) {
	return f.silence()
}

func (f *fakeChain) Rights(_ context.Context, _ []tezos.PublicKeyHash, head int32, ahead int) (chain.Rights, error) {
	f.asked++
	return f.rights(head, ahead)
}

// atLevel is a chain at a level that has nothing for us.
func atLevel(level *int32) *fakeChain {
	return &fakeChain{
		head:    func() (chain.Head, error) { return chain.Head{Chain: ghost, Level: *level, Synced: true}, nil },
		silence: func() (chain.Silence, error) { return chain.Silence{Head: *level, LastOwn: -1}, nil },
		rights:  func(int32, int) (chain.Rights, error) { return chain.Rights{}, nil },
	}
}

// chained is a pair that signs, and has a chain each.
func chained(t *testing.T) (p *pair, a, b *side, chains [2]*fakeChain) {
	p = newPair(t)
	for i, s := range p.sides {
		chains[i] = atLevel(&p.level)
		s.chain = chains[i]
		s.restart()
	}
	a, b = p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	follow(t, p)
	return p, a, b, chains
}

// follow lets both see the other's node and marks, as they do by themselves each second.
func follow(t *testing.T, p *pair) {
	for _, s := range p.sides {
		s.node.heads.Tell(t.Context())
		if s.role().Role != hwm.Active {
			s.node.followOnce(t.Context())
		}
	}
}

func (s *side) moment(w moment.Window) moment.Moment {
	s.t.Helper()
	m, err := s.node.Moment(s.t.Context(), w)
	require.NoError(s.t, err)
	return m
}

// result is that of a finding.
func result(t *testing.T, m moment.Moment, name string) checklist.Line {
	t.Helper()
	for _, f := range m.Findings {
		if f.Name == name {
			return f
		}
	}
	require.Fail(t, "no finding "+name, "%v", m.Findings)
	return checklist.Line{}
}

func TestAGoodMomentOnEitherSide(t *testing.T) {
	p, a, b, chains := chained(t)
	for i, s := range p.sides {
		m := s.moment(moment.Window{Blocks: 5, Within: 10})
		require.True(t, m.Good, "%v", m.Findings)
		require.Equal(t, p.level, *m.Head)
		require.Equal(t, checklist.OK, m.Finding().Result)
		require.Equal(t, checklist.OK, result(t, m, "marks").Result)
		require.Equal(t, checklist.OK, result(t, m, "node there").Result)
		// A block of ours is near: not now.
		chains[i].rights = func(head int32, _ int) (chain.Rights, error) {
			return chain.Rights{Blocks: turns(head+2, 0)}, nil
		}
		m = s.moment(moment.Window{Blocks: 5, Within: 10})
		require.False(t, m.Good)
		require.Equal(t, checklist.Waiting, m.Finding().Result)
		require.Equal(t, &chain.Right{Level: p.level + 2}, m.Next)
		require.Equal(t, p.level+2, m.Starts)
		require.Contains(t, m.Finding().Detail, "5 free levels begin in 2 levels, about 12s")
		// Fewer are wanted.
		require.True(t, s.moment(moment.Window{Blocks: 1}).Good)
	}
	require.Equal(t, hwm.Active, a.role().Role)
	require.Equal(t, hwm.Standby, b.role().Role)
}

// TestWhatAMomentWaitsFor spoils one thing at a time.
func TestWhatAMomentWaitsFor(t *testing.T) {
	for name, c := range map[string]struct {
		finding string
		result  checklist.Result
		spoil   func(p *pair, chains [2]*fakeChain)
	}{
		"our node is not in step": {"node", checklist.Waiting, func(p *pair, c [2]*fakeChain) {
			c[0].head = func() (chain.Head, error) {
				return chain.Head{Chain: ghost, Level: p.level, Detail: "it is unsynced"}, nil
			}
		}},
		"our node is gone": {"node", checklist.Waiting, func(_ *pair, c [2]*fakeChain) {
			c[0].head = func() (chain.Head, error) { return chain.Head{}, errors.New("gone") }
		}},
		"their node is far behind": {"node there", checklist.Waiting, func(p *pair, c [2]*fakeChain) {
			c[1].head = func() (chain.Head, error) {
				return chain.Head{Chain: ghost, Level: p.level - moment.MaxBehind - 1, Synced: true}, nil
			}
		}},
		"their node is not in step": {"node there", checklist.Warning, func(p *pair, c [2]*fakeChain) {
			c[1].head = func() (chain.Head, error) { return chain.Head{Chain: ghost, Level: p.level}, nil }
		}},
		"they are silent": {"other instance", checklist.Waiting, func(p *pair, _ [2]*fakeChain) { p.cable.cut = true }},
		"they are fenced": {"other instance", checklist.Bad, func(p *pair, _ [2]*fakeChain) { p.sides[1].fence() }},
		"they lack a device": {
			"devices", checklist.Waiting,
			func(p *pair, _ [2]*fakeChain) { p.sides[1].gadget.health = device.Absent },
		},
		"they do not follow": {"marks", checklist.Waiting, func(p *pair, _ [2]*fakeChain) {
			for range moment.MaxBehind + 1 {
				p.level++
				p.sides[0].bake(p.level)
			}
		}},
		"nobody says who bakes": {"blocks", checklist.Waiting, func(_ *pair, c [2]*fakeChain) {
			c[0].rights = func(int32, int) (chain.Rights, error) { return chain.Rights{}, errors.New("no rights") }
		}},
		"the head is not attested": {"attestations", checklist.Waiting, func(p *pair, c [2]*fakeChain) {
			p.level++
			c[0].rights = func(int32, int) (chain.Rights, error) {
				return chain.Rights{Attest: p.sides[0].node.keys.PKHs()}, nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, _, chains := chained(t)
			c.spoil(p, chains)
			for _, s := range p.sides {
				s.node.heads.Tell(t.Context())
			}
			m := a.moment(moment.Window{})
			require.Equal(t, c.result, result(t, m, c.finding).Result, "%v", m.Findings)
			require.Equal(t, c.result == checklist.Warning, m.Good)
			if !m.Good {
				require.Contains(t, m.Finding().Detail, c.finding+": ")
				_, err := a.node.Handover(t.Context(), HandoverRequest{Window: &moment.Window{}})
				is(t, err, wire.BadMoment)
				require.Equal(t, hwm.Active, a.role().Role)
			}
		})
	}
}

// TestTheHeadIsAttested: the moment is after the attestations of a level, whoever signs; a key that does not attest is
// not waited for.
func TestTheHeadIsAttested(t *testing.T) {
	p, a, b, chains := chained(t)
	duty := func(int32, int) (chain.Rights, error) { return chain.Rights{Attest: a.node.keys.PKHs()}, nil }
	chains[0].rights, chains[1].rights = duty, duty
	p.level++
	for _, s := range p.sides {
		require.Contains(t, s.moment(moment.Window{}).Finding().Detail, "2 of 2 keys have not attested yet")
	}
	a.bake(p.level)
	for _, s := range p.sides {
		require.True(t, s.moment(moment.Window{}).Good)
	}
	p.level += moment.Recent + 1 // the baker is down: there is nothing to miss
	follow(t, p)
	require.True(t, a.moment(moment.Window{}).Good)
	require.Equal(t, hwm.Standby, b.role().Role)
}

// TestNobodySigns: whoever waited would only lose more.
func TestNobodySigns(t *testing.T) {
	p, a, b, chains := chained(t)
	for _, c := range chains {
		c.rights = func(head int32, _ int) (chain.Rights, error) {
			return chain.Rights{Blocks: turns(head+1, 0)}, nil
		}
	}
	require.False(t, b.moment(moment.Window{}).Good)
	p.cable.lose = func(verb string) (bool, bool) { return false, verb == wire.Release } // the answers alone
	_, err := b.node.askForIt(t.Context())
	is(t, err, wire.Unreachable)
	require.False(t, a.signer.Active())
	for _, s := range []*side{a, b} {
		m := s.moment(moment.Window{})
		require.True(t, m.Good)
		require.Contains(t, m.Finding().Detail, "nobody signs")
	}
	p.cable.lose = nil
	h, err := b.node.Handover(t.Context(), HandoverRequest{Window: &moment.Window{}})
	require.NoError(t, err)
	require.True(t, h.Done)
}

func TestAMomentWithoutANode(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	a.bake(p.level)
	b.node.followOnce(t.Context())
	m := b.moment(moment.Window{})
	require.True(t, m.Good, "what cannot be known does not stand in the way")
	require.Nil(t, m.Head)
	f := m.Finding()
	require.Equal(t, checklist.Warning, f.Result)
	require.Contains(t, f.Detail, "none is configured here")
	h, err := b.node.Handover(t.Context(), HandoverRequest{DryRun: true, Window: &moment.Window{}})
	require.NoError(t, err)
	require.Equal(t, f, h.Findings[len(h.Findings)-1])
}

func TestAMomentForOneAlone(t *testing.T) {
	p, a, _, _ := chained(t)
	p.cable.cut = true
	require.False(t, a.moment(moment.Window{}).Good)
	require.True(t, a.moment(moment.Window{Alone: true}).Good, "a restart: nobody is to sign meanwhile")
	p.cable.cut = false
	require.NoError(t, a.node.SetPeer(t.Context(), nil))
	require.True(t, a.moment(moment.Window{}).Good)
	_, err := a.node.Stand(t.Context(), "a test")
	require.NoError(t, err)
	require.Contains(t, a.moment(moment.Window{}).Finding().Detail, "nobody signs")
}

func TestAHandoverWaitsForItsMoment(t *testing.T) {
	_, a, b, chains := chained(t)
	near := func(head int32, _ int) (chain.Rights, error) {
		return chain.Rights{Blocks: turns(head+1, 0)}, nil
	}
	chains[0].rights, chains[1].rights = near, near
	for _, s := range []*side{a, b} { // also of an invitation
		h, err := s.node.Handover(t.Context(), HandoverRequest{Window: &moment.Window{Within: 5}})
		is(t, err, wire.BadMoment)
		require.False(t, h.Moment.Good)
		require.Equal(t, hwm.Active, a.role().Role)
		h, err = s.node.Handover(t.Context(), HandoverRequest{Window: &moment.Window{Within: 5}, DryRun: true})
		require.NoError(t, err)
		require.Equal(t, "moment", h.Findings[len(h.Findings)-1].Name)
		require.Equal(t, checklist.Waiting, h.Findings[len(h.Findings)-1].Result)
	}
	far := func(head int32, _ int) (chain.Rights, error) {
		return chain.Rights{Blocks: turns(head+9, 1)}, nil
	}
	chains[0].rights = far
	h, err := a.node.Handover(t.Context(), HandoverRequest{Window: &moment.Window{Within: 5}})
	require.NoError(t, err)
	require.True(t, h.Done)
	require.True(t, h.Moment.Good)
	h, err = a.node.Handover(t.Context(), HandoverRequest{}) // now
	require.NoError(t, err)
	require.True(t, h.Done)
	require.Equal(t, hwm.Active, a.role().Role)
}

// TestAMomentAfterAReleaseByLevel: nobody follows then, and nothing waits for it.
func TestAMomentAfterAReleaseByLevel(t *testing.T) {
	p, a, b, _ := chained(t)
	h, err := b.node.Handover(t.Context(), HandoverRequest{At: level(p.level + 30)})
	require.NoError(t, err)
	require.True(t, h.Done)
	m := a.moment(moment.Window{})
	require.Equal(t, hwm.Active, a.role().Role)
	require.Equal(t, checklist.Warning, result(t, m, "marks").Result)
	require.True(t, m.Good)
}

func TestBadWindows(t *testing.T) {
	_, a, _, _ := chained(t)
	for _, w := range []moment.Window{
		{Blocks: -1}, {Blocks: moment.MaxQuiet + 1}, {Within: -1}, {Within: moment.MaxWithin + 1},
	} {
		_, err := a.node.Moment(t.Context(), w)
		is(t, err, wire.BadLevel)
		_, err = a.node.Handover(t.Context(), HandoverRequest{Window: &w})
		is(t, err, wire.BadLevel)
	}
	require.True(t, a.moment(moment.Window{Blocks: moment.MaxQuiet, Within: moment.MaxWithin}).Good)
}

// TestAMomentOfARealNode goes through the RPC.
func TestAMomentOfARealNode(t *testing.T) {
	p, sim := octezPair(t)
	_, b := p.begin()
	for sim.Head().Level%32 != 27 { // ours are 30 and 31 of 32
		sim.Advance()
	}
	b.node.followOnce(t.Context())
	m := b.moment(moment.Window{Blocks: 3, Within: 20})
	require.False(t, m.Good)
	require.Equal(t, checklist.Waiting, result(t, m, "blocks").Result)
	for range int(m.Starts - sim.Head().Level) {
		require.False(t, b.moment(moment.Window{Blocks: 3, Within: 20}).Good)
		sim.Advance()
	}
	m = b.moment(moment.Window{Blocks: 3, Within: 20})
	require.True(t, m.Good, "%v", m.Findings)
	sim.SetFaults(nodesim.Faults{State: "stuck"})
	m = b.moment(moment.Window{Blocks: 3, Within: 20})
	require.Equal(t, checklist.Waiting, result(t, m, "node").Result)
}
