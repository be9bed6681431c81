package register_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/register"
	"highwater/register/registertest"
)

// schedules is how many random histories are tried; HIGHWATER_SCHEDULES asks for more.
func schedules(t *testing.T) int {
	if text := os.Getenv("HIGHWATER_SCHEDULES"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	return 300
}

// TestSchedules lets three instances, a clone of one among them, ask a register that loses answers, applies requests
// late, and falls silent. A judge looks at every signature. Each history ends with the register whole: then the owner's
// right must be usable again.
func TestSchedules(t *testing.T) {
	signed, moved := 0, 0
	for seed := range schedules(t) {
		w := newWorld(uint64(seed))
		for range 400 {
			w.step()
			require.NoError(t, w.verdict, "seed %d: %v", seed, w.story)
		}
		w.heal()
		require.NoError(t, w.verdict, "seed %d: %v", seed, w.story)
		signed, moved = signed+w.signed, moved+w.moved
	}
	require.Greater(t, signed, 5*schedules(t), "histories without signatures prove nothing")
	require.Greater(t, moved, schedules(t), "histories in which the right does not move prove nothing")
}

type slot struct {
	kind tezos.Kind
	at   hwm.Position
}

// world is three machines, a register, a chain and a judge.
type world struct {
	rnd      *rand.Rand
	register *registertest.Register
	machines []*machine
	lives    int
	head     int32
	out      map[slot]int // the judge: which life signed there
	signed   int
	moved    int
	verdict  error
	story    []string
}

// machine is an instance: its disk, and its process.
type machine struct {
	id    hwm.InstanceID
	marks map[tezos.Kind]hwm.Position // on its disk
	seen  register.Seen               // on its disk
	life  int
	right *register.Right
	epoch uint64
}

func (m *machine) Seen() register.Seen { return m.seen }

func (m *machine) SetSeen(s register.Seen) error {
	m.seen = s
	return nil
}

var key = tezos.PublicKeyHash{Curve: tezos.Ed25519}

var chain = tezos.ChainID{1, 2, 3, 4}

func newWorld(seed uint64) *world {
	w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), register: registertest.New(), head: 100, out: map[slot]int{}}
	if _, _, err := w.register.Create(context.Background(), register.First(chain, 0, 100, nil)); err != nil {
		w.verdict = err
	}
	w.register.Fault = func() registertest.Fault {
		if w.rnd.IntN(3) > 0 {
			return registertest.None
		}
		return registertest.Fault(1 + w.rnd.IntN(3))
	}
	for i := range 3 {
		id := i
		if i == 2 {
			id = 0 // a clone of the first, disk and identity
		}
		m := &machine{id: hwm.InstanceID{byte(id + 1)}, marks: map[tezos.Kind]hwm.Position{}}
		w.start(m)
		w.machines = append(w.machines, m)
	}
	return w
}

// start begins a new life of a machine: its memory is gone, its disk is not.
func (w *world) start(m *machine) {
	w.lives++
	m.life = w.lives
	m.right = register.New(register.Config{
		Backend: w.register, Memory: m, Chain: chain, Me: m.id, Life: fmt.Sprint("life", w.lives),
		Ahead: 1 + int32(w.lives%3),
	})
}

func (w *world) note(format string, args ...any) {
	w.story = append(w.story, fmt.Sprintf(format, args...))
	if len(w.story) > 60 {
		w.story = w.story[1:]
	}
}

func (w *world) step() {
	m := w.machines[w.rnd.IntN(len(w.machines))]
	var err error
	var did string
	switch n := w.rnd.IntN(100); {
	case n < 40:
		w.sign(m)
		return
	case n < 55:
		did = "extend"
		_, err = m.right.Extend(context.Background(), w.head)
	case n < 65:
		did = "read"
		_, err = m.right.Read(context.Background())
	case n < 75:
		did = "acquire"
		err = w.acquire(m)
	case n < 80:
		did = "release"
		err = w.release(m)
	case n < 84:
		did = "settle"
		_, err = m.right.Settle(context.Background())
	case n < 94:
		w.head++
		return
	case n < 97:
		did = "crash"
		w.start(m)
	default:
		if p := w.register.Pending(); p > 0 {
			w.note("late: %v", w.register.ApplyLate(w.rnd.IntN(p)))
		}
		return
	}
	w.note("%d %s at %d: %v", m.life, did, w.head, err)
	if errors.Is(err, register.ErrOlder) || errors.Is(err, register.ErrUnreadable) || errors.Is(err, register.ErrAbsent) {
		w.verdict = err // nobody put it back
	}
}

func (w *world) acquire(m *machine) error {
	rec, err := m.right.Acquire(context.Background(), w.head, func(rec register.Record) error {
		if rec.Released() || w.head >= rec.Horizon || w.rnd.IntN(5) == 0 {
			return nil
		}
		return errNotYet
	})
	if err == nil && rec.Epoch != m.epoch {
		m.epoch = rec.Epoch
		w.moved++
	}
	return err
}

var errNotYet = errors.New("not yet")

func (w *world) release(m *machine) error {
	m.right.Fence()
	marks := make([]register.Mark, 0, len(m.marks))
	for kind, p := range m.marks {
		marks = append(marks, register.Mark{PKH: key, Kind: kind, Level: p.Level, Round: p.Round})
	}
	_, err := m.right.Release(context.Background(), hwm.InstanceID{}, marks)
	return err
}

// sign asks as a baker does, and more: levels around the head, any kind, other bytes each time.
func (w *world) sign(m *machine) {
	kind := tezos.Kinds[w.rnd.IntN(len(tezos.Kinds))]
	at := hwm.Position{Level: w.head - 3 + int32(w.rnd.IntN(8)), Round: int32(w.rnd.IntN(2))}
	floor, limit, ok := m.right.May(key, kind)
	if !ok || at.Level > limit || at.Compare(floor) <= 0 || at.Compare(m.marks[kind]) <= 0 {
		return
	}
	m.marks[kind] = at
	w.signed++
	w.note("%d signs %s %s", m.life, kind, at)
	if by, twice := w.out[slot{kind, at}]; twice {
		w.verdict = fmt.Errorf("lives %d and %d both signed %s at %s", by, m.life, kind, at)
	}
	w.out[slot{kind, at}] = m.life
}

// heal ends all faults: whatever happened, one machine can acquire and sign the next level.
func (w *world) heal() {
	w.register.Fault = nil
	for range w.register.Pending() {
		w.register.ApplyLate(0)
	}
	w.head += 10
	m := w.machines[1]
	if _, err := m.right.Acquire(context.Background(), w.head, func(register.Record) error { return nil }); err != nil {
		w.verdict = fmt.Errorf("after all faults nobody can acquire: %w", err)
		return
	}
	if _, err := m.right.Extend(context.Background(), w.head); err != nil {
		w.verdict = fmt.Errorf("after all faults the owner cannot extend: %w", err)
		return
	}
	floor, limit, ok := m.right.May(key, tezos.Attestation)
	if !ok || limit <= w.head || floor.Level > limit {
		w.verdict = fmt.Errorf("after all faults the owner may sign from %s to %d at head %d: %v", floor, limit, w.head, ok)
	}
}
