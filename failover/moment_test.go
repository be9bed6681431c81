package failover

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

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
		s.node.lookAtHead(t.Context())
		if s.role().Role != hwm.Active {
			s.node.followOnce(t.Context())
		}
	}
}

func (s *side) moment(w Window) Moment {
	s.t.Helper()
	m, err := s.node.Moment(s.t.Context(), w)
	require.NoError(s.t, err)
	return m
}

// result is that of a finding.
func (m Moment) result(t *testing.T, name string) checklist.Line {
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
		m := s.moment(Window{Blocks: 5, Within: 10})
		require.True(t, m.Good, "%v", m.Findings)
		require.Equal(t, p.level, *m.Head)
		require.Equal(t, checklist.OK, m.Finding().Result)
		require.Equal(t, checklist.OK, m.result(t, "marks").Result)
		require.Equal(t, checklist.OK, m.result(t, "node there").Result)
		// A block of ours is near: not now.
		chains[i].rights = func(head int32, _ int) (chain.Rights, error) {
			return chain.Rights{Blocks: turns(head+2, 0)}, nil
		}
		m = s.moment(Window{Blocks: 5, Within: 10})
		require.False(t, m.Good)
		require.Equal(t, checklist.Waiting, m.Finding().Result)
		require.Equal(t, &chain.Right{Level: p.level + 2}, m.Next)
		require.Equal(t, p.level+2, m.Starts)
		require.Contains(t, m.Finding().Detail, "5 free levels begin in 2 levels, about 12s")
		// Fewer are wanted.
		require.True(t, s.moment(Window{Blocks: 1}).Good)
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
				return chain.Head{Chain: ghost, Level: p.level - maxBehind - 1, Synced: true}, nil
			}
		}},
		"their node is not in step": {"node there", checklist.Warning, func(p *pair, c [2]*fakeChain) {
			c[1].head = func() (chain.Head, error) { return chain.Head{Chain: ghost, Level: p.level}, nil }
		}},
		"they are silent":    {"other instance", checklist.Waiting, func(p *pair, _ [2]*fakeChain) { p.cable.cut = true }},
		"they are fenced":    {"other instance", checklist.Bad, func(p *pair, _ [2]*fakeChain) { p.sides[1].fence() }},
		"they lack a device": {"devices", checklist.Waiting, func(p *pair, _ [2]*fakeChain) { p.sides[1].gadget.health = device.Absent }},
		"they do not follow": {"marks", checklist.Waiting, func(p *pair, _ [2]*fakeChain) {
			for range maxBehind + 1 {
				p.level++
				p.sides[0].bake(p.level)
			}
		}},
		"nobody says who bakes": {"blocks", checklist.Waiting, func(_ *pair, c [2]*fakeChain) {
			c[0].rights = func(int32, int) (chain.Rights, error) { return chain.Rights{}, errors.New("no rights") }
		}},
		"the head is not attested": {"attestations", checklist.Waiting, func(p *pair, c [2]*fakeChain) {
			p.level++
			c[0].rights = func(int32, int) (chain.Rights, error) { return chain.Rights{Attest: p.sides[0].node.pkhs()}, nil }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p, a, _, chains := chained(t)
			c.spoil(p, chains)
			for _, s := range p.sides {
				s.node.lookAtHead(t.Context())
			}
			m := a.moment(Window{})
			require.Equal(t, c.result, m.result(t, c.finding).Result, "%v", m.Findings)
			require.Equal(t, c.result == checklist.Warning, m.Good)
			if !m.Good {
				require.Contains(t, m.Finding().Detail, c.finding+": ")
				_, err := a.node.Handover(t.Context(), HandoverRequest{Window: &Window{}})
				is(t, err, wire.BadMoment)
				require.Equal(t, hwm.Active, a.role().Role)
			}
		})
	}
}

// TestTheHeadIsAttested: the moment is after the attestations of a level, whoever signs; a key that does not attest is not waited for.
func TestTheHeadIsAttested(t *testing.T) {
	p, a, b, chains := chained(t)
	duty := func(int32, int) (chain.Rights, error) { return chain.Rights{Attest: a.node.pkhs()}, nil }
	chains[0].rights, chains[1].rights = duty, duty
	p.level++
	for _, s := range p.sides {
		require.Contains(t, s.moment(Window{}).Finding().Detail, "2 of 2 keys have not attested yet")
	}
	a.bake(p.level)
	for _, s := range p.sides {
		require.True(t, s.moment(Window{}).Good)
	}
	p.level += recent + 1 // the baker is down: there is nothing to miss
	follow(t, p)
	require.True(t, a.moment(Window{}).Good)
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
	require.False(t, b.moment(Window{}).Good)
	p.cable.lose = func(verb string) (bool, bool) { return false, verb == wire.Release } // the answers alone
	_, err := b.node.askForIt(t.Context())
	is(t, err, wire.Unreachable)
	require.False(t, a.signer.Active())
	for _, s := range []*side{a, b} {
		m := s.moment(Window{})
		require.True(t, m.Good)
		require.Contains(t, m.Finding().Detail, "nobody signs")
	}
	p.cable.lose = nil
	h, err := b.node.Handover(t.Context(), HandoverRequest{Window: &Window{}})
	require.NoError(t, err)
	require.True(t, h.Done)
}

func TestAMomentWithoutANode(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	a.bake(p.level)
	b.node.followOnce(t.Context())
	m := b.moment(Window{})
	require.True(t, m.Good, "what cannot be known does not stand in the way")
	require.Nil(t, m.Head)
	f := m.Finding()
	require.Equal(t, checklist.Warning, f.Result)
	require.Contains(t, f.Detail, "not known")
	h, err := b.node.Handover(t.Context(), HandoverRequest{DryRun: true, Window: &Window{}})
	require.NoError(t, err)
	require.Equal(t, f, h.Findings[len(h.Findings)-1])
}

func TestAMomentForOneAlone(t *testing.T) {
	p, a, _, _ := chained(t)
	p.cable.cut = true
	require.False(t, a.moment(Window{}).Good)
	require.True(t, a.moment(Window{Alone: true}).Good, "a restart: nobody is to sign meanwhile")
	p.cable.cut = false
	require.NoError(t, a.node.SetPeer(t.Context(), nil))
	require.True(t, a.moment(Window{}).Good)
	_, err := a.node.Stand(t.Context(), "a test")
	require.NoError(t, err)
	require.Contains(t, a.moment(Window{}).Finding().Detail, "nobody signs")
}

func TestAHandoverWaitsForItsMoment(t *testing.T) {
	_, a, b, chains := chained(t)
	near := func(head int32, _ int) (chain.Rights, error) {
		return chain.Rights{Blocks: turns(head+1, 0)}, nil
	}
	chains[0].rights, chains[1].rights = near, near
	for _, s := range []*side{a, b} { // also of an invitation
		h, err := s.node.Handover(t.Context(), HandoverRequest{Window: &Window{Within: 5}})
		is(t, err, wire.BadMoment)
		require.False(t, h.Moment.Good)
		require.Equal(t, hwm.Active, a.role().Role)
		h, err = s.node.Handover(t.Context(), HandoverRequest{Window: &Window{Within: 5}, DryRun: true})
		require.NoError(t, err)
		require.Equal(t, "moment", h.Findings[len(h.Findings)-1].Name)
		require.Equal(t, checklist.Waiting, h.Findings[len(h.Findings)-1].Result)
	}
	far := func(head int32, _ int) (chain.Rights, error) {
		return chain.Rights{Blocks: turns(head+9, 1)}, nil
	}
	chains[0].rights = far
	h, err := a.node.Handover(t.Context(), HandoverRequest{Window: &Window{Within: 5}})
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
	m := a.moment(Window{})
	require.Equal(t, hwm.Active, a.role().Role)
	require.Equal(t, checklist.Warning, m.result(t, "marks").Result)
	require.True(t, m.Good)
}

func TestBadWindows(t *testing.T) {
	_, a, _, _ := chained(t)
	for _, w := range []Window{{Blocks: -1}, {Blocks: MaxQuiet + 1}, {Within: -1}, {Within: MaxWithin + 1}} {
		_, err := a.node.Moment(t.Context(), w)
		is(t, err, wire.BadLevel)
		_, err = a.node.Handover(t.Context(), HandoverRequest{Window: &w})
		is(t, err, wire.BadLevel)
	}
	require.True(t, a.moment(Window{Blocks: MaxQuiet, Within: MaxWithin}).Good)
}

func TestGaps(t *testing.T) {
	for name, c := range map[string]struct {
		rights []chain.Right
		w      Window
		starts int32
		gap    int
		result checklist.Result
		detail string
	}{
		"nothing":             {nil, Window{Blocks: 3}, 100, 3, checklist.OK, "none of ours at the next 3 levels"},
		"far enough":          {turns(104, 0), Window{Blocks: 3, Within: 9}, 100, 3, checklist.OK, "one may come at level 104, round 0"},
		"too near":            {turns(103, 1), Window{Blocks: 3, Within: 9}, 103, 3, checklist.Waiting, "3 free levels begin in 3 levels, about 18s"},
		"the first of two":    {turns(102, 0, 106, 0, 111, 0), Window{Blocks: 3, Within: 20}, 102, 3, checklist.Waiting, "begin in 2"},
		"the best is later":   {turns(102, 0, 104, 0, 107, 0, 109, 0), Window{Blocks: 4, Within: 8}, 104, 2, checklist.Waiting, "best gap, of 2, begins in 4"},
		"the best is now":     {turns(103, 0, 105, 0, 107, 0, 109, 0), Window{Blocks: 4, Within: 8}, 100, 2, checklist.Warning, "best gap is now: 2"},
		"each level is ours":  {turns(101, 0, 102, 0, 103, 0, 104, 0), Window{Blocks: 1, Within: 3}, 100, 0, checklist.Warning, "no moment is better"},
		"at round 1 always":   {turns(101, 1, 102, 1, 103, 0, 104, 1, 105, 1), Window{Blocks: 2, Within: 3}, 100, 2, checklist.OK, "at round 0"},
		"no time to wait":     {turns(101, 0), Window{Blocks: 2}, 100, 0, checklist.Waiting, "one of ours may come at level 101, round 0"},
		"no time for less":    {turns(102, 0), Window{Blocks: 2, Within: 1}, 100, 0, checklist.Waiting, "one of ours may come at level 102, round 0"},
		"no time for the gap": {turns(101, 0, 103, 0, 105, 0, 106, 0), Window{Blocks: 2, Within: 4}, 101, 1, checklist.Waiting, "of 1, begins in 1"},
	} {
		m := Moment{}
		f := m.look(c.rights, 100, c.w)
		require.Equal(t, c.result, f.Result, "%s: %s", name, f.Detail)
		require.Contains(t, f.Detail, c.detail, name)
		require.Equal(t, c.starts, m.Starts, name)
		require.Equal(t, c.gap, m.Gap, name)
	}
}

// TestWhoeverWaitsGoes: level after level until the bound, with any rights; the moment comes, it comes in time, and it is as long as any
// gap that there was.
func TestWhoeverWaitsGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, bound := rapid.IntRange(1, 6).Draw(t, "want"), rapid.IntRange(6, 40).Draw(t, "bound")
		ours := map[int32]bool{}
		var rights []chain.Right
		share := rapid.IntRange(0, 10).Draw(t, "share")
		for level := int32(1); level <= int32(bound+want+1); level++ {
			if rapid.IntRange(0, 9).Draw(t, "ours") < share {
				ours[level] = true
				rights = append(rights, chain.Right{Level: level})
			}
		}
		longest := func(from int32) int {
			n := 0
			for n < want && !ours[from+int32(n)+1] {
				n++
			}
			return n
		}
		best := 0
		for head := range int32(bound + 1) {
			if n := longest(head); n == want || int(head)+want <= bound {
				best = max(best, n)
			}
		}
		for head := range int32(bound + 1) {
			var ahead []chain.Right
			for _, r := range rights {
				if r.Level > head {
					ahead = append(ahead, r)
				}
			}
			m := Moment{}
			if f := m.look(ahead, head, Window{Blocks: want, Within: bound - int(head)}); f.Result == checklist.Waiting {
				continue
			}
			require.Equal(t, best, longest(head), "at %d, while there was a better gap", head)
			return
		}
		require.Fail(t, "waited for ever")
	})
}

// TestAMomentOfARealNode goes through the RPC.
func TestAMomentOfARealNode(t *testing.T) {
	p, sim := octezPair(t)
	_, b := p.begin()
	for sim.Head().Level%32 != 27 { // ours are 30 and 31 of 32
		sim.Advance()
	}
	b.node.followOnce(t.Context())
	m := b.moment(Window{Blocks: 3, Within: 20})
	require.False(t, m.Good)
	require.Equal(t, checklist.Waiting, m.result(t, "blocks").Result)
	for range int(m.Starts - sim.Head().Level) {
		require.False(t, b.moment(Window{Blocks: 3, Within: 20}).Good)
		sim.Advance()
	}
	m = b.moment(Window{Blocks: 3, Within: 20})
	require.True(t, m.Good, "%v", m.Findings)
	sim.SetFaults(nodesim.Faults{State: "stuck"})
	m = b.moment(Window{Blocks: 3, Within: 20})
	require.Equal(t, checklist.Waiting, m.result(t, "node").Result)
}
