package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"highwater/test/failover/network"

	"highwater/hwm"
	"highwater/operate"
)

// maxOverlap is the most levels that may be signed twice after a false statement, before the guard or another rule ends
// the overlap.
const maxOverlap = 2

// lie cuts the machines off from each other. Both nodes follow the chain. The operator falsely states that a cannot
// sign. The guard of the first side that sees a foreign signature of its key ends the overlap.
func lie(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 2), w.a.unplug(ctx, network.LinkPeer), w.levels(ctx, 2)); err != nil {
		return err
	}
	at, err := w.lieAbout(ctx, w.b)
	if err != nil {
		return err
	}
	fenced, err := w.oneFenced(ctx)
	if err != nil {
		return err
	}
	took := w.level() - at
	w.result.note("%s fenced itself %d levels after the takeover", fenced, took)
	if err = w.bounded(ctx); err != nil {
		return err
	}
	if took > maxOverlap+1 { // the signature of a at the takeover's level is on chain, and seen, one level later
		return fmt.Errorf("the overlap lasted %d levels", took)
	}
	// The link comes back. A fenced side stays fenced. A takeover then makes one side sign.
	if err = w.a.plug(ctx, network.LinkPeer); err != nil {
		return err
	}
	err = w.says(ctx, w.a, "yields", func(st operate.Status) bool { return st.Role.Role != hwm.Active })
	if err = errors.Join(err, w.says(
		ctx, w.b, "does not sign", func(st operate.Status) bool { return !st.Signing })); err != nil {
		return err
	}
	return errors.Join(w.takeover(ctx, w.a, "--silence", "1"), w.quiet(ctx, w.b))
}

// lieCut: the signing machine loses all links, its bakers see no new level, and the operator falsely states that the
// machine cannot sign. When the links are back, its bakers ask at once, and the machine may sign until the news of the
// takeover comes: the overlap is counted, and bounded.
func lieCut(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 2), w.a.unplug(ctx)); err != nil {
		return err
	}
	if _, err := w.lieAbout(ctx, w.b); err != nil {
		return err
	}
	if err := errors.Join(w.signs(ctx, w.b), w.levels(ctx, 3)); err != nil {
		return err
	}
	return w.yields(ctx, "the return of the links", func() error { return w.a.plug(ctx) })
}

// yields brings a back, and waits until a has heard of the takeover. The signatures until then are counted, and
// bounded.
func (w *world) yields(ctx context.Context, when string, back func() error) error {
	begin := time.Now()
	if err := back(); err != nil {
		return err
	}
	if err := w.says(ctx, w.a, "hears of the takeover",
		func(st operate.Status) bool { return st.Role.Role != hwm.Active }); err != nil {
		return err
	}
	w.result.note("%d signatures after %s, and stopped after %s", len(w.tally.By(w.a.index, begin)), when,
		time.Since(begin).Round(time.Millisecond))
	return errors.Join(w.bounded(ctx), w.oneAtMost(ctx, 3))
}

// lieAbout takes over on a false statement, and gives the level of the takeover.
func (w *world) lieAbout(ctx context.Context, s *side) (int32, error) {
	var t operate.TakeoverAnswer
	err := s.asked(ctx, &t, "takeover", "--yes", "--no-wait", "--the-other-instance-cannot-sign", "--silence", "0")
	if err == nil && !t.Done {
		err = errors.New("the takeover was refused")
	}
	return w.level(), err
}

// oneFenced waits until a side has fenced itself.
func (w *world) oneFenced(ctx context.Context) (fenced *side, err error) {
	err = w.await(ctx, "a side fences itself", func() (bool, error) {
		for _, s := range w.sides() {
			st, statusErr := s.status(ctx)
			if statusErr != nil {
				return false, statusErr
			}
			if st.Role.Role == hwm.Fenced {
				fenced = s
				return true, nil
			}
		}
		return false, nil
	})
	return fenced, err
}

// bounded counts the levels signed by both sides, some levels later.
func (w *world) bounded(ctx context.Context) error {
	if err := w.levels(ctx, 3); err != nil {
		return err
	}
	levels := w.tally.Overlap()
	w.result.note("levels signed by both sides: %v", levels)
	if len(levels) > maxOverlap {
		return fmt.Errorf("%d levels were signed by both", len(levels))
	}
	return nil
}

// lieFrozen: the signing machine is frozen, as a paused virtual machine, and the operator takes the machine for dead.
// After the thaw, the interrupted work goes on.
func lieFrozen(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 2), syscall.Kill(w.a.PID(), syscall.SIGSTOP)); err != nil {
		return err
	}
	if _, err := w.lieAbout(ctx, w.b); err != nil {
		return err
	}
	if err := errors.Join(w.signs(ctx, w.b), w.levels(ctx, 2)); err != nil {
		return err
	}
	return w.yields(ctx, "the thaw", func() error { return syscall.Kill(w.a.PID(), syscall.SIGCONT) })
}
