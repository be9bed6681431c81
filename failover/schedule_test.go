package failover

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/failover/wire"
	"highwater/hwm"
)

// schedule is one random history of a pair: bakers on both sides always ask, processes die at any write, messages are
// lost, doubled, or come once more much later, and operators hand over and take over. Statements of operators are true.
type schedule struct {
	*pair
	r *rand.Rand
	// disks fail in every second history: a process that may write nothing hides what the others do.
	disks bool
	stick []stick
	count map[string]int
}

// stick is a certificate on its way by foot.
type stick struct {
	from, to *side
	cert     *wire.Certificate
}

func newSchedule(t testing.TB, seed uint64) *schedule {
	s := &schedule{pair: newPair(t), r: rand.New(rand.NewPCG(seed, 1)), disks: seed%2 == 1, count: map[string]int{}}
	s.every = 1 // nobody waits for what was heard of an earlier process to be old: a history is over before that
	for _, x := range s.sides {
		x.node.every = s.every
	}
	s.begin()
	s.cable.lose = func(string) (bool, bool) { return s.r.IntN(8) == 0, s.r.IntN(6) == 0 }
	s.cable.twice = func(string) bool { return s.r.IntN(10) == 0 }
	return s
}

func (s *schedule) any() *side { return s.sides[s.r.IntN(2)] }

// did counts what came about.
func (s *schedule) did(what string, err error) {
	if err == nil {
		s.count[what]++
	}
}

// step lets one thing happen, then both bakers ask.
func (s *schedule) step() {
	x, ctx := s.any(), s.t.Context()
	switch n := s.r.IntN(100); {
	case n < 12:
		s.level += 1 + s.r.Int32N(2)
	case n < 15:
		s.level += Margin // so that what a margin hides comes to light
	case n < 40 && x.up:
		_, err := x.node.Ask(ctx)
		s.did("asked", err)
		if x.other().up && x.other().store.isSick() != nil {
			s.did("asked a broken one", err)
		}
	case n < 45 && x.up:
		x.node.followOnce(ctx)
	case n < 58 && x.up:
		h, err := x.node.askForIt(ctx)
		if h {
			s.did("handed over", err)
		}
	case n < 63 && x.up:
		s.byLevel(x)
	case n < 66 && x.up:
		s.release(x)
	case n < 70:
		s.accept()
	case n < 78 || n < 80 && !s.disks:
		s.crash(x)
	case n < 82 && s.disks && x.up && x.store.sick == nil:
		x.store.countdown, x.store.after, x.store.breaks = s.r.IntN(3), s.r.IntN(2) == 0, true
	case n < 88 && !x.up:
		x.start()
	case n < 92 && x.up && !x.other().up:
		s.takeover(x)
	case n < 98 && len(s.cable.answers) > 0:
		if l := s.cable.answers[s.r.IntN(len(s.cable.answers))]; l.to.up {
			s.did("stale", l.deliver(s.t))
		}
	}
	s.bury()
	for _, i := range s.r.Perm(2) {
		s.count["signed"] += s.sides[i].bake(s.level)
		s.bury()
	}
}

// bury ends the processes that died in a write.
func (s *schedule) bury() {
	for _, x := range s.sides {
		if x.up && x.store.dead {
			x.kill()
			s.count["died in a write"]++
		}
		if x.up && x.store.sick != nil {
			s.sick(x)
		}
	}
}

// sick is a process whose disk failed: one that does not sign stays for a while, the other one ends itself soon, and
// not at once.
func (s *schedule) sick(x *side) {
	if !x.counted {
		x.counted = true
		s.count["a disk failed"]++
	}
	if s.r.IntN(8) == 0 || x.role().Role == hwm.Active && s.r.IntN(2) == 0 {
		x.kill()
	}
}

// crash ends a process now, or at one of its next writes.
func (s *schedule) crash(x *side) {
	switch {
	case !x.up:
		x.start()
	case s.r.IntN(3) == 0:
		x.kill()
	default:
		x.store.countdown, x.store.after = s.r.IntN(3), s.r.IntN(2) == 0
	}
}

func (s *schedule) byLevel(x *side) {
	if x.role().Owner == x.node.Me() {
		return
	}
	c, err := x.node.askRelease(s.t.Context(), x.peer(), level(s.level+s.r.Int32N(4)))
	if err == nil {
		s.did("handed over by level", x.node.onCertificate(s.t.Context(), c, nil))
	}
}

func (s *schedule) release(x *side) {
	c, err := x.node.Release(s.t.Context(), s.level+1+s.r.Int32N(3))
	s.did("released", err)
	if err == nil {
		s.stick = append(s.stick, stick{x, x.other(), c})
	}
}

func (s *schedule) accept() {
	if len(s.stick) == 0 {
		return
	}
	c := s.stick[s.r.IntN(len(s.stick))]
	if c.to.up {
		_, err := c.to.node.Accept(s.t.Context(), c.cert, &s.level)
		s.did("accepted", err)
	}
}

// takeover is stated truly: the other side is down, and what this side gave away on sticks is destroyed.
func (s *schedule) takeover(x *side) {
	var left []stick
	for _, c := range s.stick {
		if c.from != x {
			left = append(left, c)
		}
	}
	s.stick = left
	_, err := x.takeover()
	s.did("taken over", err)
}

func (s *side) peer() hwm.Peer {
	p, ok := s.store.Peer()
	require.True(s.t, ok)
	return p
}

// schedules are the seeds of the histories that are tried: HIGHWATER_SCHEDULES of them, from HIGHWATER_FIRST on.
func schedules(t testing.TB) iter.Seq[uint64] {
	first, n := number(t, "HIGHWATER_FIRST", 0), number(t, "HIGHWATER_SCHEDULES", 150)
	return func(yield func(uint64) bool) {
		for seed := first; seed < first+n && yield(seed); seed++ {
		}
	}
}

func number(t testing.TB, variable string, otherwise uint64) uint64 {
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

const steps = 150

func TestSchedulesSignNothingTwice(t *testing.T) {
	total := map[string]int{}
	for seed := range schedules(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newSchedule(t, seed)
			for range steps {
				s.step()
			}
			require.Empty(t, s.judge.Doubles(), "seed %d", seed)
			for what, n := range s.count {
				total[what] += n
			}
		})
	}
	t.Log(total)
	for _, what := range []string{
		"signed", "asked", "handed over", "handed over by level", "released", "accepted", "taken over", "died in a write",
		"a disk failed", "asked a broken one",
	} {
		require.NotZero(t, total[what], "no history had one: %s", what)
	}
	require.Zero(t, total["stale"], "an answer to a question of an earlier life was taken")
}
