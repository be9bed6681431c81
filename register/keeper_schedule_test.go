package register_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/register/registertest"
)

// TestKeeperSchedules lets three machines with their keepers, and a clone of one of them, share a register at random:
// machines crash, are suspended, cut off, and hear no answers; nodes lag; devices break; operators move the right; the
// register is silent, loses answers, applies requests late. In some histories the register is put back, after each
// machine has seen the newer one. A judge looks at every signature. In the end all is whole: then each level is signed,
// or no level at all by a register that was put back.
func TestKeeperSchedules(t *testing.T) {
	signed, moved, histories := 0, 0, 75
	if os.Getenv("HIGHWATER_SCHEDULES") != "" {
		histories = schedules(t)
	}
	for seed := range histories {
		f := newFleet(t, uint64(seed))
		for range 120 {
			f.level()
			require.NoError(t, f.verdict, "seed %d: %v", seed, f.story)
		}
		f.heal()
		require.NoError(t, f.verdict, "seed %d: %v", seed, f.story)
		signed, moved = signed+f.signed, moved+f.moved
	}
	t.Logf("%d histories: %d signatures, the right moved %d times, nothing twice", histories, signed, moved)
	require.Greater(t, signed, 50*histories, "histories without signatures prove nothing")
	require.Greater(t, moved, 3*histories, "histories in which the right does not move prove nothing")
}

// link is the way of one machine to the register.
type link struct {
	register.Backend
	cut  bool // nothing passes
	deaf bool // requests pass, and no answer
}

func (l *link) Read(ctx context.Context) (register.Entry, error) {
	if l.cut || l.deaf {
		return register.Entry{}, registertest.ErrSilent
	}
	return l.Backend.Read(ctx)
}

func (l *link) Swap(ctx context.Context, prev register.Entry, next []byte) (register.Entry, bool, error) {
	if l.cut {
		return register.Entry{}, false, registertest.ErrSilent
	}
	now, swapped, err := l.Backend.Swap(ctx, prev, next)
	if l.deaf {
		return register.Entry{}, false, registertest.ErrSilent
	}
	return now, swapped, err
}

// member of a fleet: a host, its link, and what ails it.
type member struct {
	*host
	link      *link
	suspended bool
	lags      bool // its node stands still
	own       int32
}

type fleet struct {
	rnd     *rand.Rand
	reg     *registertest.Register
	members []*member
	lives   int
	head    int32
	out     map[slot]int
	signed  int
	moved   int
	ends    bool // the register is put back in this history
	back    bool // and was
	calm    bool // nobody asks but for the head
	backup  registertest.Backup
	verdict error
	story   []string
}

func newFleet(t *testing.T, seed uint64) *fleet {
	t.Helper()
	f := &fleet{rnd: rand.New(rand.NewPCG(seed, 17)), reg: registertest.New(), head: 100, out: map[slot]int{}}
	f.ends = f.rnd.IntN(8) == 0
	_, _, err := f.reg.Create(t.Context(), register.First(chain, 0, 100, nil))
	require.NoError(t, err)
	f.reg.Fault = func() registertest.Fault {
		if f.rnd.IntN(12) > 0 {
			return registertest.None
		}
		return registertest.Fault(1 + f.rnd.IntN(3))
	}
	for i := range 4 {
		id := i % 3 // the last one is a clone of the first: the same identity, with a copy of its disk
		m := &member{link: &link{Backend: f.reg}, own: f.head}
		f.members = append(f.members, m)
		f.start(m, id, machine{id: hwm.InstanceID{byte(id + 1)}, marks: map[tezos.Kind]hwm.Position{}})
	}
	return f
}

// start begins a new process with the disk given.
func (f *fleet) start(m *member, priority int, disk machine) {
	f.lives++
	h := &host{head: &m.own, machine: machine{id: disk.id, marks: disk.marks, seen: disk.seen, life: f.lives}}
	h.right = register.New(register.Config{
		Backend: m.link, Memory: &h.machine, Chain: chain, Me: h.id, Life: fmt.Sprint("life", f.lives), Ahead: ahead,
		Priority: int32(f.rnd.IntN(4)), // not always the truth: safety does not depend on a priority
	})
	h.keeper = register.NewKeeper(register.KeeperConfig{
		Right: h.right, Machine: h, Me: h.id, Policy: register.Policy{
			Automatic: true, Patience: patience,
			Priority: int32(priority),
		},
	})
	m.host, m.suspended = h, false
}

func (f *fleet) note(format string, args ...any) {
	f.story = append(f.story, fmt.Sprintf(format, args...))
	if len(f.story) > 60 {
		f.story = f.story[1:]
	}
}

// level lets a block come, and everybody act, in a random order.
func (f *fleet) level() {
	f.head++
	if f.rnd.IntN(3) == 0 {
		f.event()
	}
	if p := f.reg.Pending(); p > 0 && f.rnd.IntN(4) == 0 {
		f.note("late: %v", f.reg.ApplyLate(f.rnd.IntN(p)))
	}
	if f.ends && f.head == 130 {
		f.backup = f.reg.Backup()
	}
	if f.ends && f.head == 180 {
		f.putBack()
	}
	f.act()
}

func (f *fleet) act() {
	for range 2 {
		for _, i := range f.rnd.Perm(len(f.members)) {
			m := f.members[i]
			if !m.lags {
				m.own = f.head
			}
			if m.suspended {
				continue
			}
			f.sign(m) // what was asked before its next look
			before := len(m.begun)
			m.keeper.Step(context.Background())
			if len(m.begun) > before {
				f.moved++
				f.note("at %d life %d begins: %+v", f.head, m.life, m.begun[before].Horizon)
			}
			f.sign(m)
		}
	}
}

// sign asks for each kind, at the head and around it.
func (f *fleet) sign(m *member) {
	for _, kind := range tezos.Kinds {
		at := hwm.Position{Level: f.head, Round: int32(f.rnd.IntN(2))}
		if !f.calm && f.rnd.IntN(4) == 0 {
			at.Level += int32(f.rnd.IntN(8)) - 3
		}
		floor, limit, ok := m.right.May(key, kind)
		if !m.signing || !ok || at.Level > limit || at.Compare(floor) <= 0 || at.Compare(m.marks[kind]) <= 0 {
			continue
		}
		m.marks[kind] = at
		f.signed++
		if by, twice := f.out[slot{kind, at}]; twice {
			f.verdict = fmt.Errorf("lives %d and %d both signed %s at %s", by, m.life, kind, at)
		}
		f.out[slot{kind, at}] = m.life
	}
}

func (f *fleet) event() {
	i := f.rnd.IntN(len(f.members))
	m := f.members[i]
	ctx := context.Background()
	switch n := f.rnd.IntN(13); n {
	case 0:
		f.note("crash of life %d", m.life)
		f.start(m, i%3, m.machine)
	case 1, 2:
		m.suspended = !m.suspended
	case 3, 4:
		m.link.cut = !m.link.cut
	case 5:
		m.link.deaf = !m.link.deaf
	case 6:
		m.lags = !m.lags
	case 7:
		m.broken = flip(m.broken)
	case 8:
		f.reg.Silent = !f.reg.Silent
	case 9:
		_, err := m.keeper.Release(ctx, f.members[f.rnd.IntN(3)].id, "by hand")
		f.note("life %d releases by hand: %v", m.life, err)
	case 10:
		_, err := m.keeper.Takeover(ctx)
		f.note("life %d takes over by hand: %v", m.life, err)
	case 11:
		_, err := m.keeper.Ask(ctx)
		f.note("life %d asks: %v", m.life, err)
		defer m.keeper.Forget()
	default:
		f.mend()
	}
}

var errBroken = errors.New("device left is locked")

func flip(err error) error {
	if err == nil {
		return errBroken
	}
	return nil
}

func (f *fleet) mend() {
	f.reg.Silent = false
	for _, m := range f.members {
		m.link.cut, m.link.deaf, m.suspended, m.lags, m.broken = false, false, false, false, nil
	}
}

// settle ends all faults, and every request that is under way.
func (f *fleet) settle() {
	f.reg.Fault = nil
	for f.reg.Pending() > 0 {
		f.reg.ApplyLate(0)
	}
	f.mend()
}

// putBack restores the register, after each machine has seen the newest record.
func (f *fleet) putBack() {
	fault := f.reg.Fault
	f.settle()
	f.act()
	f.act()
	newest, err := f.reg.Read(context.Background())
	f.reg.Restore(f.backup)
	older, wrong := f.reg.Read(context.Background())
	f.verdict = errors.Join(err, wrong)
	f.back, f.reg.Fault = older.Version != newest.Version, fault // nobody may have written since the copy
	f.note("put back at %d", f.head)
}

// heal ends all faults. After some levels every level is signed: no level, if the register was put back.
func (f *fleet) heal() {
	f.settle()
	f.calm = true
	for range 4 * ahead {
		f.head++
		f.act()
	}
	for range 3 {
		f.head++
		f.act()
		if attested := f.at(f.head) > 0; attested == f.back {
			f.verdict = errors.Join(f.verdict, fmt.Errorf("level %d signed: %v, and the register was put back: %v", f.head,
				attested, f.back))
			for _, m := range f.members {
				s := m.keeper.State()
				_, held := m.right.Held()
				f.note("life %d: signing %v held %v unsettled %v, %v %q; record epoch %d owner %s life %s horizon %d", m.life,
					m.signing, held, m.right.Unsettled(), s.Err, s.Why,
					s.Record.Epoch, s.Record.Owner.Short(), s.Record.Life, s.Record.Horizon)
			}
		}
	}
}

func (f *fleet) at(level int32) (n int) {
	for round := range int32(2) {
		if _, ok := f.out[slot{tezos.Attestation, hwm.Position{Level: level, Round: round}}]; ok {
			n++
		}
	}
	return n
}
