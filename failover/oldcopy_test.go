package failover

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
)

// putBack restores a side's state of before something was done. Nothing is being written when it is copied.
func (s *side) putBack(done func()) {
	s.t.Helper()
	file := filepath.Join(s.dir, "marks.db")
	old, err := os.ReadFile(file)
	require.NoError(s.t, err)
	done()
	s.kill()
	require.NoError(s.t, os.WriteFile(file, old, 0o600))
	s.start()
}

// TestAnOldCopyThatAnswersSaysWhatToDo: while it answers, nothing is handed over or taken over. Whoever asks for that,
// on either machine, hears why, and what to do; that done, the copy is a backup like any other.
func TestAnOldCopyThatAnswersSaysWhatToDo(t *testing.T) {
	for name, since := range map[string]func(t *testing.T, a, b *side){
		"of the same epoch": func(*testing.T, *side, *side) {},
		"of an earlier epoch": func(t *testing.T, a, _ *side) {
			_, err := a.node.Stand(t.Context(), "for a while")
			require.NoError(t, err)
			_, err = a.node.Activate(t.Context(), nil, "again")
			require.NoError(t, err)
		},
		"of an earlier owner": func(_ *testing.T, a, b *side) {
			b.handover()
			a.handover()
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPair(t)
			a, b := p.begin()
			a.putBack(func() {
				since(t, a, b)
				require.Equal(t, perLevel, a.bake(p.level))
				b.node.followOnce(t.Context())
				_, err := b.node.Ask(t.Context())
				require.NoError(t, err)
			})
			_, err := a.node.Ask(t.Context())
			is(t, err, wire.OldState)

			// There: the other machine must be stopped first.
			for what, try := range map[string]func() error{
				"a handover": func() (err error) {
					_, err = b.node.Handover(t.Context(), HandoverRequest{})
					return err
				},
				"a takeover": func() (err error) {
					_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
					return err
				},
			} {
				err = try()
				is(t, err, wire.NotReady)
				require.Contains(t, err.Error(),
					"the instance "+a.node.Me().Short()+" signs nothing, and calls its own state directory an old copy", what)
				require.Contains(t, wire.AsRefusal(err).Hint,
					"systemctl stop highwater; afterwards, here: highwater takeover", what)
			}

			// On the machine of the copy: this one must be.
			_, err = a.node.Handover(t.Context(), HandoverRequest{})
			is(t, err, wire.OldState)
			require.Contains(t, wire.AsRefusal(err).Hint, "stop this instance")
			look, err := a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
			is(t, err, wire.NotReady)
			require.Equal(t, checklist.Bad, look.Findings[0].Result)
			require.Contains(t, look.Findings[0].Detail, "the state directory is an old copy")
			require.Contains(t, look.Findings[0].Hint, "stop this instance")
			require.Zero(t, a.bake(p.level)+b.bake(p.level))

			a.kill()
			_, err = b.takeover()
			require.NoError(t, err)
			a.start()
			_, err = a.node.Ask(t.Context())
			require.NoError(t, err)
			require.Equal(t, hwm.Standby, a.role().Role)
			p.level += Margin + 1
			require.Equal(t, perLevel, b.bake(p.level))
			a.handover()
			p.level++
			require.Equal(t, perLevel, a.bake(p.level))
			require.Zero(t, b.bake(p.level))
			require.Empty(t, p.judge.Doubles())
		})
	}
}

// farAhead leaves b with the floor of a certificate by a level far ahead, and a signing far below it: b used the
// certificate and died, and a, which was restarted and had not heard of b's floor, took over.
func farAhead(t *testing.T, p *pair) (a, b *side, level int32) {
	a, b = p.begin()
	require.Equal(t, perLevel, a.bake(p.level))
	level = p.level + 500
	p.cable.cut = true
	c, err := a.node.Release(t.Context(), level)
	require.NoError(t, err)
	_, err = b.node.Accept(t.Context(), c, &p.level)
	require.NoError(t, err)
	b.kill()
	p.cable.cut = false
	a.restart()
	done, err := a.takeover()
	require.NoError(t, err)
	require.Less(t, done.Floor, level)
	p.level = done.Floor + 1
	require.Equal(t, perLevel, a.bake(p.level))
	b.start()
	_, err = b.node.Ask(t.Context())
	require.NoError(t, err)
	require.Equal(t, hwm.Standby, b.role().Role)
	b.node.followOnce(t.Context())
	return a, b, level
}

// TestAFloorFarAheadIsNotCalledAnOldCopy: an owner that is restarted beside such a floor cannot tell it from what the
// other side followed. It does not sign, says both, and what it says to do works: for the level, and for the chain far
// below it.
func TestAFloorFarAheadIsNotCalledAnOldCopy(t *testing.T) {
	for _, below := range []bool{false, true} {
		p := newPair(t)
		a, b, level := farAhead(t, p)
		a.restart()
		_, err := a.node.Ask(t.Context())
		is(t, err, wire.OldOrFloor)
		require.Contains(t, err.Error(), "the state directory may be an old copy")
		require.Contains(t, err.Error(),
			"used a certificate by the level before a takeover here: nothing is old in the second case")
		require.Contains(t, wire.AsRefusal(err).Hint, "stop the peer; afterwards, here: highwater takeover")
		require.NotEmpty(t, a.alarms())
		p.level++
		require.Zero(t, a.bake(p.level))
		_, err = b.node.Handover(t.Context(), HandoverRequest{})
		is(t, err, wire.NotReady)
		require.Contains(t, err.Error(), "or the marks are below a floor of the peer")
		_, err = b.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		is(t, err, wire.NotReady)
		require.Contains(t, err.Error(), "or the marks are below a floor of the peer")
		_, err = a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		is(t, err, wire.NotReady)
		require.Contains(t, wire.AsRefusal(err).Hint, "stop the peer")

		b.kill()
		if below {
			a.restart()
		}
		done, err := a.takeover()
		require.NoError(t, err)
		require.Equal(t, below, done.Floor < level)
		p.level = done.Floor + 1
		require.Equal(t, perLevel, a.bake(p.level))
		if !below {
			b.start()
			a.restart()
			_, err = a.node.Ask(t.Context())
			require.NoError(t, err, "its marks are above the level now")
			p.level++
			require.Equal(t, perLevel, a.bake(p.level))
		}
		require.Empty(t, p.judge.Doubles())
	}
}

// TestAnOldCopyBesideAFloorFarAhead: the same with a state that is old. Below the floor nothing else tells, for it
// hides what the other side followed; above it, what was followed is seen again.
func TestAnOldCopyBesideAFloorFarAhead(t *testing.T) {
	for _, above := range []bool{false, true} {
		p := newPair(t)
		a, b, level := farAhead(t, p)
		reason := wire.OldOrFloor
		if above {
			p.level, reason = level, wire.OldState
		}
		p.level++
		require.Equal(t, perLevel, a.bake(p.level))
		a.putBack(func() {
			p.level++
			require.Equal(t, perLevel, a.bake(p.level))
			b.node.followOnce(t.Context())
		})
		_, err := a.node.Ask(t.Context())
		is(t, err, reason)
		require.Zero(t, a.bake(p.level))
		_, err = a.node.Takeover(t.Context(), TakeoverRequest{CannotSign: true, Head: &p.level})
		is(t, err, wire.NotReady)

		// What either message says to do is safe with an old copy too.
		b.kill()
		a.restart()
		_, err = a.takeover()
		require.NoError(t, err)
		require.Zero(t, a.bake(p.level))
		p.level += Margin + 1
		require.Equal(t, perLevel, a.bake(p.level))
		require.Empty(t, p.judge.Doubles())
	}
}
