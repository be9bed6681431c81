package failover

import (
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/signer"
)

// copied makes a third machine with a copy of this side's state directory. Its process does not run yet. The other
// side's configuration names this side, not the copy.
func (s *side) copied() *side {
	s.t.Helper()
	c := &side{
		t: s.t, name: 'c', dir: filepath.Join(filepath.Dir(s.dir), "c"), pair: s.pair, gadget: newGadget(s.t),
		copyOf: s,
	}
	require.NoError(s.t, os.Mkdir(c.dir, 0o700))
	text, err := os.ReadFile(filepath.Join(s.dir, "marks.db"))
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(filepath.Join(c.dir, "marks.db"), text, 0o600))
	s.t.Cleanup(c.kill)
	return c
}

func (s *side) asks() error {
	_, err := s.node.Ask(s.t.Context())
	return err
}

// sameKey wants the alarm here, or none.
func (s *side) sameKey(want bool) {
	s.t.Helper()
	have := false
	for _, a := range s.alarms() {
		have = have || a.Name == signer.AlarmSameKey
	}
	require.Equal(s.t, want, have)
}

// acknowledge is the operator's.
func (s *side) acknowledge() { s.signer.Acknowledge(1 << 60) }

// ends is what the operator does: the copy is stopped, and the one that is left is used again.
func (p *pair) ends(a, b, c *side) {
	t := p.t
	c.kill()
	is(t, b.asks(), wire.SameKey)
	_, err := b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
	is(t, err, wire.NotReady)
	require.Contains(t, wire.AsRefusal(err).Hint, "highwater acknowledge")
	for _, s := range []*side{a, b} {
		s.acknowledge()
		s.sameKey(false)
		s.node.every = 0 // some seconds have passed since the copy was heard
	}
	_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
	require.NoError(t, err, "the other one is fenced")
	p.level += Margin + 1
	require.Equal(t, perLevel, b.bake(p.level))
	require.NoError(t, a.asks())
	require.Equal(t, hwm.Fenced, a.role().Role)
	_, err = a.node.Stand(t.Context(), "the copy is gone")
	require.NoError(t, err)
	a.handover()
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Zero(t, b.bake(p.level))
	for _, s := range []*side{a, b} {
		s.restart()
		require.NoError(t, s.asks())
		s.sameKey(false)
	}
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Empty(t, p.judge.Doubles())
}

// TestACopyBesideTheOneThatSigns: it is refused with its first question, and both end.
func TestACopyBesideTheOneThatSigns(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	require.NoError(t, b.asks())
	c := a.copied()
	c.start()
	is(t, c.asks(), wire.SameKey)
	require.Zero(t, c.bake(p.level+1))
	require.Equal(t, hwm.Fenced, c.role().Role)
	is(t, a.asks(), wire.SameKey)
	require.Zero(t, a.bake(p.level+1))
	require.Equal(t, hwm.Fenced, a.role().Role)
	for _, s := range []*side{a, b, c} {
		s.sameKey(true)
	}
	require.Contains(t, b.node.View().Waiting, "two processes run with the key of the instance "+a.node.Me().Short())
	require.Contains(t, b.node.View().Next[0], "highwater init in an empty directory")
	p.ends(a, b, c)
}

// TestACopyBeforeTheOriginal: the copy was started while its original was down, and was believed. The original is not,
// and ends the copy.
func TestACopyBeforeTheOriginal(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	c := a.copied()
	require.NoError(t, a.asks())
	a.kill()
	b.node.every = time.Hour
	c.start()
	is(t, c.asks(), wire.OtherLife) // the original was heard a moment ago
	require.Zero(t, c.bake(p.level))
	b.node.every = 0 // and then for long no more
	require.NoError(t, c.asks())
	require.Equal(t, perLevel, c.bake(p.level))
	b.node.every = time.Hour
	a.start()
	is(t, a.asks(), wire.OtherLife)
	b.sameKey(false)
	require.Zero(t, a.bake(p.level))
	is(t, c.asks(), wire.SameKey)
	p.level++
	require.Zero(t, c.bake(p.level))
	is(t, a.asks(), wire.SameKey)
	require.Zero(t, a.bake(p.level))
	p.ends(a, b, c)
}

// TestAHandoverSoonAfterAStart: the other side cannot see whether the process before this one still runs, so it gives
// nothing away for a while. The operator who asks need not ask again.
func TestAHandoverSoonAfterAStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		a, b := p.begin()
		require.NoError(t, b.asks())
		a.node.link = oddLink{err: wire.Refuse(wire.Unreachable, "", "the way there is down")}
		b.restart()
		_, err := b.node.askForIt(t.Context())
		is(t, err, wire.OtherLife)
		began := time.Now()
		h, err := b.node.Handover(t.Context(), HandoverRequest{})
		require.NoError(t, err)
		require.True(t, h.Done)
		require.GreaterOrEqual(t, time.Since(began), quiet*p.every)
		p.level++
		require.Equal(t, perLevel, b.bake(p.level))
	})
}

// TestACopyOfTheBackup: nothing is given to either of them, and the other side signs on.
func TestACopyOfTheBackup(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	b.handover()
	c := a.copied()
	c.start()
	require.NoError(t, a.asks())
	require.NoError(t, c.asks())
	is(t, a.asks(), wire.SameKey)
	for _, s := range []*side{a, c} {
		_, err := s.node.askForIt(t.Context())
		is(t, err, wire.SameKey)
		require.Error(t, func() error { _, err := s.node.Handover(t.Context(), HandoverRequest{}); return err }())
		require.Equal(t, hwm.Standby, s.role().Role, "it did not sign, so there is nothing to fence")
	}
	p.level++
	require.Equal(t, perLevel, b.bake(p.level))

	b.restart() // the alarm outlives it, and it trusts neither of the two to tell whether it may go on
	is(t, b.asks(), wire.SameKeyBefore)
	_, err := a.node.askForIt(t.Context())
	is(t, err, wire.SameKeyBefore)
	c.kill()
	b.acknowledge()
	require.NoError(t, b.asks())
	p.level++
	require.Equal(t, perLevel, b.bake(p.level))
	a.handover()
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Empty(t, p.judge.Doubles())
}

// TestACopyAndARestartOfTheOther: who was restarted remembers no process. It asks the configured address first, whoever
// asks it.
func TestACopyAndARestartOfTheOther(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	c := a.copied()
	b.restart()
	c.start()
	is(t, c.asks(), wire.OtherLife)
	require.Zero(t, c.bake(p.level))
	require.Equal(t, perLevel, a.bake(p.level))
	is(t, c.asks(), wire.SameKey)
	require.Equal(t, hwm.Fenced, c.role().Role)

	b.restart() // before the other one was told
	is(t, a.asks(), wire.SameKeyBefore)
	require.Equal(t, hwm.Active, a.role().Role, "nobody heard both in this run")
	c.restart()
	is(t, c.asks(), wire.SameKeyBefore)
	is(t, a.asks(), wire.SameKey)
	is(t, c.asks(), wire.SameKey)
	p.ends(a, b, c)
}

// TestManyRestartsAreNoCopy: however often a side is restarted, and however late what a dead process said arrives.
func TestManyRestartsAreNoCopy(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	type old struct {
		from wire.Instant
		q    wire.Question
	}
	var late []old
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		b.node.every = 0 // what a dead process left may have been said a moment ago; a copy's would be waited for
		late = append(late, old{b.node.count.Instant(), a.node.question(a.peer(), a.node.newNonce(wire.Status))})
		switch r.IntN(3) {
		case 0:
			a.restart()
		case 1:
			a.kill()
			a.start()
			require.NoError(t, a.asks())
			require.True(t, a.signer.Active(), "a restart does not wait")
		case 2:
			require.NoError(t, b.asks())
		}
		l := late[r.IntN(len(late))]
		b.node.spoke(l.q.Life, l.from, false) // its connection is that old
		b.sameKey(false)
		if r.IntN(20) == 0 {
			b.restart()
			late = nil
		}
	}
	require.NoError(t, a.asks())
	p.level++
	require.Equal(t, perLevel, a.bake(p.level))
	require.Equal(t, hwm.Active, a.role().Role)

	// What proves that two live is the connection, and not the order of arrival.
	l := a.node.question(a.peer(), a.node.newNonce(wire.Status))
	a.restart()
	require.NoError(t, a.asks())
	b.sameKey(false)
	b.node.handle(b.node.Server().ConnContext(t.Context(), nil), wire.Status, l)
	b.sameKey(true)
}

// TestEachProcessHasItsLife: no two share one.
func TestEachProcessHasItsLife(t *testing.T) {
	p := newPair(t)
	a, b := p.begin()
	was := a.node.life
	require.Equal(t, was, a.node.question(a.peer(), "").Life)
	require.NotEqual(t, was, b.node.life)
	a.restart()
	require.NotEqual(t, was, a.node.life)
}

// TestACopyOverTheLink: real connections, both sides ask all the time, and the copy is found by itself.
func TestACopyOverTheLink(t *testing.T) {
	p, _ := newTLSPair(t)
	a, b := p.begin()
	c := a.copied()
	p.run(t)
	c.link = wire.NewClient(nil)
	c.start()
	c.node.link = wire.NewClient(c.store.Identity())
	require.Equal(t, a.node.Me(), hwm.InstanceID(c.store.Identity().Public().(ed25519.PublicKey)))
	require.Eventually(t, func() bool {
		_ = c.asks()
		return c.role().Role == hwm.Fenced && a.role().Role == hwm.Fenced
	}, 20*time.Second, time.Millisecond)
	require.Zero(t, a.bake(p.level)+b.bake(p.level)+c.bake(p.level))
	b.sameKey(true)
}

// TestSchedulesBesideACopy: random histories of a pair and a copy of the one that signs. The side that remembers is not
// restarted once one of the two was confirmed, or there is a second in which both may be.
func TestSchedulesBesideACopy(t *testing.T) {
	signed, fenced := 0, 0
	for seed := range schedules(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 3))
			p := newPair(t)
			a, b := p.begin()
			c := a.copied()
			a.kill()
			b.restart()
			b.node.every = time.Hour // of two, the one that was confirmed is not forgotten
			p.cable.lose = func(string) (bool, bool) { return r.IntN(8) == 0, r.IntN(6) == 0 }
			for range 60 {
				x := []*side{a, b, c}[r.IntN(3)]
				switch n := r.IntN(10); {
				case n < 3:
					p.level++
				case n < 7 && x.up:
					_ = x.asks()
				case n < 8 && b.up:
					b.node.followOnce(t.Context())
				case x != b && x.up:
					x.kill()
				case x != b:
					x.start()
				}
				for _, s := range []*side{a, c} {
					signed += s.bake(p.level)
				}
			}
			require.Empty(t, p.judge.Doubles(), "seed %d", seed)
			for _, s := range []*side{a, c} {
				if s.up && s.role().Role == hwm.Fenced {
					fenced++
				}
			}
		})
	}
	require.NotZero(t, signed)
	require.NotZero(t, fenced)
}
