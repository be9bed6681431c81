package register_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"highwater/register"
)

// settled is how long a machine is ready before it asks for the right, in levels, with the level of the question.
const settled = 22

// levels lets the chain grow, with all hosts at work.
func levels(t require.TestingT, hosts []*host, head *int32, n int, step func(i int, h *host)) {
	for range n {
		*head++
		for i, h := range hosts {
			step(i, h)
		}
		signed := 0
		for _, h := range hosts {
			if h.sign(*head) {
				signed++
			}
		}
		require.LessOrEqual(t, signed, 1, "level %d was signed twice", *head)
	}
}

func working(t *testing.T) func(int, *host) {
	return func(_ int, h *host) { h.keeper.Step(t.Context()) }
}

// moved lets the second machine take over from the first, which then comes back as a new process.
func moved(t *testing.T) ([]*host, *int32) {
	t.Helper()
	reg, hosts, head := three(t)
	levels(t, hosts[1:], head, 12, working(t))
	require.True(t, hosts[1].signing)
	hosts[0] = newHost(reg, 0, 2, head)
	return hosts, head
}

func TestARepairedMachineAsksForTheRight(t *testing.T) {
	hosts, head := moved(t)
	levels(t, hosts, head, 15, working(t))
	require.True(t, hosts[1].signing, "a machine that just came back asked for the right")
	levels(t, hosts, head, settled, working(t))
	require.True(t, hosts[0].signing, "%+v", hosts[0].keeper.State())
	require.Contains(t, hosts[1].ended[0], "asked for the right to sign", "the right was taken, and not given")
	require.Empty(t, hosts[0].begun[0].Marks[1:], "the right came without its exact marks")
	levels(t, hosts, head, 100, working(t))
	require.Len(t, hosts[0].begun, 1, "the right moved on")
	require.Len(t, hosts[1].begun, 1)
}

func TestNobodyAsksAtABadMoment(t *testing.T) {
	hosts, head := moved(t)
	hosts[0].quiet = errors.New("a block of ours is near")
	levels(t, hosts, head, 60, working(t))
	require.True(t, hosts[1].signing)
	hosts[0].quiet = nil
	levels(t, hosts, head, 2, working(t))
	require.True(t, hosts[0].signing)
}

func TestAnUnreadyMachineAsksForNothing(t *testing.T) {
	hosts, head := moved(t)
	for range 10 { // ready, but never for long
		levels(t, hosts, head, 15, working(t))
		hosts[0].broken = errors.New("device absent")
		levels(t, hosts, head, 1, working(t))
		hosts[0].broken = nil
	}
	require.True(t, hosts[1].signing, "a machine that comes and goes asked for the right")
	hosts[0].barred = "an operator put this instance on standby"
	levels(t, hosts, head, 2*settled, working(t))
	require.True(t, hosts[1].signing, "a machine on standby asked for the right")
}

func TestASuspendedMachineStartsAnew(t *testing.T) {
	hosts, head := moved(t)
	levels(t, hosts, head, 15, working(t))
	levels(t, hosts[1:], head, 10, working(t)) // the first machine sleeps
	levels(t, hosts, head, 15, working(t))
	require.True(t, hosts[1].signing, "a machine asked, and had slept a moment ago")
}

func TestALateAnswerDoesNotBreakAStandby(t *testing.T) {
	hosts, head := moved(t)
	levels(t, hosts[:1], head, settled, func(_ int, h *host) {
		hosts[1].head = new(int32)
		*hosts[1].head = *head
		require.NoError(t, extend(t, hosts[1]))
		h.keeper.Step(t.Context())
	})
	require.Equal(t, hosts[0].id, hosts[0].keeper.State().Record.Asked)
	hosts[0].barred = "an operator put this instance on standby"
	hosts[1].keeper.Step(t.Context())
	require.False(t, hosts[1].signing, "the owner does not answer")
	hosts[0].keeper.Step(t.Context())
	require.False(t, hosts[0].signing, "a machine on standby took the right that it had asked for before")
}

// extend moves the horizon of a host, without a look at the questions in the record.
func extend(t *testing.T, h *host) error {
	t.Helper()
	_, err := h.right.Extend(t.Context(), *h.head)
	return err
}

// TestAMachineThatLosesTheRightWaitsLonger gives the first machine a fault that shows only under load.
func TestAMachineThatLosesTheRightWaitsLonger(t *testing.T) {
	hosts, head := moved(t)
	fails := true
	step := func(i int, h *host) {
		h.keeper.Step(t.Context())
		if i == 0 && h.signing && fails {
			h.signing = false // the keys do not sign: the horizon stands still
		}
	}
	levels(t, hosts, head, 250, step)
	require.LessOrEqual(t, len(hosts[0].begun), 4, "the right flaps")
	require.GreaterOrEqual(t, len(hosts[0].begun), 2)
	fails = false
	levels(t, hosts, head, 700, step)
	require.True(t, hosts[0].signing, "a mended machine never gets the right")
	ended := len(hosts[0].ended)
	_, err := hosts[0].keeper.Release(t.Context(), hosts[1].id, "handed over")
	require.NoError(t, err)
	levels(t, hosts, head, settled+8, step)
	require.True(t, hosts[0].signing, "a machine that kept the right for long waits as if it had lost it")
	require.Len(t, hosts[0].ended, ended+1)
}

// busy is a register whose owner writes between each look and the write that follows.
type busy struct {
	register.Backend
	between func()
}

func (b *busy) Swap(ctx context.Context, prev register.Entry, next []byte) (register.Entry, bool, error) {
	b.between()
	return b.Backend.Swap(ctx, prev, next)
}

func TestAQuestionIsAskedAgainAfterAnExtension(t *testing.T) {
	reg, hosts, head := three(t)
	extensions := 0
	asker := newHost(&busy{reg, func() {
		if extensions++; extensions < 4 {
			*head++
			require.NoError(t, extend(t, hosts[0]))
		}
	}}, 2, 2, head)
	_, err := asker.keeper.Ask(t.Context())
	require.NoError(t, err)
	hosts[0].keeper.Step(t.Context())
	require.False(t, hosts[0].signing, "the question was lost")
	hosts[0].keeper.Step(t.Context())
	asker.keeper.Step(t.Context())
	require.True(t, asker.signing)
}

func TestAQuestionDoesNotReplaceAnother(t *testing.T) {
	hosts, head := moved(t)
	hosts[2].keeper = hosts[2].with(0)
	levels(t, hosts, head, 5, working(t))
	seen, err := hosts[2].right.Read(t.Context())
	require.NoError(t, err)
	_, err = hosts[0].right.Ask(t.Context(), func(register.Record) error { return nil })
	require.NoError(t, err)
	_, err = hosts[2].right.Ask(t.Context(), func(r register.Record) error {
		if r.Nonce != seen.Nonce {
			return errors.New("moved")
		}
		return nil
	})
	require.Error(t, err)
	rec, err := hosts[1].right.Read(t.Context())
	require.NoError(t, err)
	require.Equal(t, hosts[0].id, rec.Asked)
	require.Equal(t, hosts[1].id, rec.Owner)
	require.Equal(t, seen.Horizon, rec.Horizon, "a question moved the horizon")
	require.Equal(t, seen.Epoch, rec.Epoch)
}

// TestThePreferredMachineEndsUpWithTheRight lets machines come and go at random. Once all machines stay, the right
// comes to the first one, and never moves again.
func TestThePreferredMachineEndsUpWithTheRight(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		_, hosts, head := three(t)
		away := make([]int, len(hosts))
		levels(rt, hosts, head, 100, func(i int, h *host) {
			if away[i] == 0 && rapid.IntRange(0, 24).Draw(rt, "leaves") == 0 {
				away[i] = rapid.IntRange(1, 30).Draw(rt, "for")
			}
			if away[i] > 0 {
				away[i]--
				return
			}
			h.keeper.Step(t.Context())
		})
		begun := func() (n int) {
			for _, h := range hosts {
				n += len(h.begun)
			}
			return n
		}
		before := begun()
		levels(rt, hosts, head, 80, working(t))
		require.True(rt, hosts[0].signing, "%+v", hosts[0].keeper.State())
		require.LessOrEqual(rt, begun()-before, 2, "the right moved about although every machine stayed")
		before = begun()
		levels(rt, hosts, head, 80, working(t))
		require.Equal(rt, before, begun(), "the right flaps")
	})
}

func TestMachinesOfOnePriorityDoNotAskEachOther(t *testing.T) {
	hosts, head := moved(t)
	hosts[0].keeper = hosts[0].with(1)
	levels(t, hosts, head, 5*settled, working(t))
	require.True(t, hosts[1].signing, "a machine asked another one of its own priority")
}
