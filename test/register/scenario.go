package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"time"
)

// scenario is a fault, in a whole world, and its repair.
type scenario struct {
	name string
	// most is how many levels may be missed. A run on a busy machine may need some more time, never another level.
	most func(ahead int) int
	do   func(ctx context.Context, w *world, owner *machine) error
}

func none(int) int            { return 0 }
func takenOver(ahead int) int { return ahead + 2 }

// scenarios are the quick set.
func scenarios() []scenario {
	return []scenario{
		{"handover by the operator", none, handover},
		{"owner stopped in order, and started", none, restart},
		{"owner killed (-9), and started", takenOver, kill},
		{"owner suspended, and woken", takenOver, suspend},
		{"each member stopped in turn", none, stopMembers},
		{"register away for ahead-1 levels", none, stopRegister},
		{"register away for twice the horizon", func(ahead int) int { return 2*ahead + 3 }, stopRegisterLong},
		{"two standbys at once, owner killed", takenOver, killBeside},
	}
}

// lateWrites are the scenarios about single questions and answers between the owner and the register.
func lateWrites() []scenario {
	return []scenario{
		{"answers to the owner lost for a level", none, loseAnswers},
		{"a write of the owner applied late", takenOver, lateWrite},
		{"a write of the owner applied after a takeover", takenOver, lateAfterTakeover},
	}
}

// other is a standby: the next machine in order.
func (w *world) other(m *machine) *machine { return w.machines[(m.index+1)%machines] }

func handover(ctx context.Context, w *world, owner *machine) error {
	to := w.other(owner)
	if _, err := to.Command(ctx, "handover", "--yes", "--now"); err != nil {
		return err
	}
	return w.awaitOwner(ctx, to.index)
}

func restart(ctx context.Context, w *world, owner *machine) error {
	owner.up = false
	if err := owner.Stop(); err != nil {
		return err
	}
	if err := w.awaitOwner(ctx, -1); err != nil {
		return err
	}
	return owner.start(ctx)
}

func kill(ctx context.Context, w *world, owner *machine) error {
	owner.up = false
	if err := owner.Kill(); err != nil {
		return err
	}
	if err := w.awaitOwner(ctx, -1); err != nil {
		return err
	}
	return owner.start(ctx)
}

// killBeside kills the owner while another machine restarts.
func killBeside(ctx context.Context, w *world, owner *machine) error {
	owner.up = false
	if err := owner.Kill(); err != nil {
		return err
	}
	if err := owner.start(ctx); err != nil { // a standby among standbys: all three want the right
		return err
	}
	return w.awaitOwner(ctx, -1)
}

func suspend(ctx context.Context, w *world, owner *machine) error {
	owner.frozen = true
	if err := syscall.Kill(owner.PID(), syscall.SIGSTOP); err != nil {
		return err
	}
	err := errors.Join(w.awaitOwner(ctx, -1), w.levels(ctx, 2), syscall.Kill(owner.PID(), syscall.SIGCONT))
	owner.frozen = false
	return errors.Join(err, w.levels(ctx, 2))
}

// awaitAnother waits until another machine signs.
func (w *world) awaitAnother(ctx context.Context, m *machine) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		for _, o := range w.machines {
			if o != m && o.signs(ctx) {
				return nil
			}
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(errors.New("no other machine signs"), w.words(context.WithoutCancel(ctx)))
		}
	}
}

// loseAnswers lets the register apply the owner's writes, and loses the answers.
func loseAnswers(ctx context.Context, w *world, owner *machine) error {
	for _, l := range owner.links {
		l.set(answer)
	}
	err := w.levels(ctx, 1)
	for _, l := range owner.links {
		l.set(open)
	}
	return errors.Join(err, w.levels(ctx, 2), w.awaitOwner(ctx, -1))
}

// lateWrite holds a write of the owner until the owner has given the write up, and lets the register apply the write.
// Not every held question is a write: the record tells.
func lateWrite(ctx context.Context, w *world, owner *machine) error {
	for range 10 {
		for _, l := range owner.links {
			l.set(late)
		}
		if err := w.levels(ctx, 1); err != nil {
			return err
		}
		before, err := w.record(ctx)
		if err != nil {
			return err
		}
		applied := false
		for _, l := range owner.links {
			l.deliver()
		}
		for deadline := time.Now().Add(w.interval); !applied && time.Now().Before(deadline) && err == nil; {
			var now []byte
			now, err = w.record(ctx)
			applied = !bytes.Equal(now, before)
		}
		owner.dialAgain()
		if err = errors.Join(err, w.levels(ctx, 2)); err != nil || applied {
			return errors.Join(err, w.awaitOwner(ctx, -1))
		}
	}
	return errors.New("no write of the owner was held")
}

// lateAfterTakeover delivers the write of a cut-off owner, after a second machine has taken the right.
func lateAfterTakeover(ctx context.Context, w *world, owner *machine) error {
	for _, l := range owner.links {
		l.set(late)
	}
	err := errors.Join(w.awaitAnother(ctx, owner), w.levels(ctx, 1))
	delivered := 0
	for _, l := range owner.links {
		delivered += l.deliver()
	}
	err = errors.Join(err, w.levels(ctx, 2))
	owner.dialAgain()
	if delivered == 0 {
		err = errors.Join(err, errors.New("no question of the owner was held"))
	}
	return errors.Join(err, w.levels(ctx, 2), w.awaitOwner(ctx, -1))
}

func stopMembers(ctx context.Context, w *world, _ *machine) error {
	var errs []error
	for _, m := range w.members {
		errs = append(errs, syscall.Kill(m.PID(), syscall.SIGSTOP), w.levels(ctx, 3), syscall.Kill(m.PID(), syscall.SIGCONT),
			w.levels(ctx, 2))
	}
	return errors.Join(append(errs, w.awaitOwner(ctx, -1))...)
}

// away stops all members for some levels.
func (w *world) away(ctx context.Context, levels int) error {
	var errs []error
	for _, m := range w.members {
		errs = append(errs, syscall.Kill(m.PID(), syscall.SIGSTOP))
	}
	errs = append(errs, w.levels(ctx, levels))
	for _, m := range w.members {
		errs = append(errs, syscall.Kill(m.PID(), syscall.SIGCONT))
	}
	return errors.Join(append(errs, w.levels(ctx, 2))...)
}

func stopRegister(ctx context.Context, w *world, _ *machine) error {
	return errors.Join(w.away(ctx, w.ahead-1), w.awaitOwner(ctx, -1))
}

func stopRegisterLong(ctx context.Context, w *world, _ *machine) error {
	return errors.Join(w.away(ctx, 2*w.ahead), w.awaitOwner(ctx, -1))
}

// storm lets things happen at random, several at once, and makes the world whole again.
func storm(seed uint64, events int) scenario {
	return scenario{
		fmt.Sprintf("random schedule %d", seed), func(int) int { return 1 << 20 },
		func(ctx context.Context, w *world, _ *machine) error {
			rnd := rand.New(rand.NewPCG(seed, 11)) //nolint:gosec // no secret
			for range events {
				if err := w.event(ctx, rnd); err != nil {
					return err
				}
				if rnd.IntN(2) == 0 {
					if err := w.levels(ctx, 1+rnd.IntN(2)); err != nil {
						return err
					}
				}
			}
			w.note = "lost links:" + w.note
			return w.mend(ctx)
		},
	}
}

func (w *world) event(ctx context.Context, rnd *rand.Rand) error {
	m := w.machines[rnd.IntN(machines)]
	member := w.members[rnd.IntN(len(w.members))]
	switch rnd.IntN(11) {
	case 0:
		if m.up {
			m.up, m.frozen = false, false
			return m.Kill()
		}
	case 1, 2:
		if !m.up {
			m.up = true
			return m.Start(0)
		}
	case 3:
		m.frozen = m.up
		return m.signal(syscall.SIGSTOP)
	case 4:
		m.frozen = false
		return m.signal(syscall.SIGCONT)
	case 5, 8, 9:
		return w.disturb(ctx, m, rnd)
	case 6:
		return syscall.Kill(member.PID(), syscall.SIGSTOP)
	case 7:
		return syscall.Kill(member.PID(), syscall.SIGCONT)
	default:
		if m.up && !m.frozen {
			ask, cancel := context.WithTimeout(ctx, 3*time.Second)
			defer cancel()
			_, _ = m.Command(ask, []string{"takeover", "standby", "activate"}[rnd.IntN(3)], "--yes") // a refusal is fine
		}
	}
	return nil
}

func (m *machine) signal(s syscall.Signal) error {
	if !m.up {
		return nil
	}
	return syscall.Kill(m.PID(), s)
}

// mend makes everything whole, and waits until a machine signs.
func (w *world) mend(ctx context.Context) error {
	var errs []error
	for _, p := range w.members {
		errs = append(errs, syscall.Kill(p.PID(), syscall.SIGCONT))
	}
	errs = append(errs, w.joinAll(ctx))
	for _, m := range w.machines {
		m.frozen = false
		errs = append(errs, m.signal(syscall.SIGCONT))
		if !m.up {
			errs = append(errs, m.start(ctx))
		}
	}
	for _, m := range w.machines {
		_, err := m.AwaitUp(ctx)
		errs = append(errs, err)
		_, _ = m.Command(ctx, "activate", "--yes") // ends an operator's standby; refused where another machine signs
	}
	return errors.Join(append(errs, w.awaitOwner(ctx, -1))...)
}
