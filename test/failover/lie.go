package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/operate"
)

// maxOverlap is how many levels may be signed twice after a false statement, before the guard or another rule ends it.
const maxOverlap = 2

// lie: the machines are cut off from each other, both nodes follow the chain, the operator states that a cannot sign,
// and it can. The guard of whichever side sees its key sign what it did not sign ends that.
func lie(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 2), w.a.unplug(ctx, linkPeer), w.levels(ctx, 2)); err != nil {
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
	if took > maxOverlap+1 { // what a signed at the takeover's level is on chain one level later, and seen then
		return fmt.Errorf("it took %d levels", took)
	}
	// The link comes back. Whoever is fenced stays so until somebody finds out; a takeover then makes one side sign.
	if err = w.a.plug(ctx, linkPeer); err != nil {
		return err
	}
	err = w.says(ctx, w.a, "yields", func(st operate.Status) bool { return st.Role.Role != hwm.Active })
	if err = errors.Join(err, w.says(
		ctx, w.b, "does not sign", func(st operate.Status) bool { return !st.Signing })); err != nil {
		return err
	}
	return errors.Join(w.takeover(ctx, w.a, "--silence", "1"), w.quiet(ctx, w.b))
}

// lieCut: the machine that signs loses all its links, its bakers see no new level, and the operator states that it
// cannot sign. When its links are back, its bakers ask at once, and it may sign until it has heard of the takeover:
// that is counted, and bounded.
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
	return w.yields(ctx, "its links were back", func() error { return w.a.plug(ctx) })
}

// yields brings a back, and waits until it has heard that it may not sign. What it signs until then is counted, and
// bounded.
func (w *world) yields(ctx context.Context, when string, back func() error) error {
	begin := time.Now()
	if err := back(); err != nil {
		return err
	}
	if err := w.says(ctx, w.a, "hears of it",
		func(st operate.Status) bool { return st.Role.Role != hwm.Active }); err != nil {
		return err
	}
	w.result.note("it signed %d times after %s, and stopped after %s", len(w.tally.by(w.a.index, begin)), when,
		time.Since(begin).Round(time.Millisecond))
	return errors.Join(w.bounded(ctx), w.oneAtMost(ctx, 3))
}

// lieAbout takes over with a statement that is not true, and gives the level at which that was.
func (w *world) lieAbout(ctx context.Context, s *side) (int32, error) {
	var t operate.TakeoverAnswer
	err := s.asked(ctx, &t, "takeover", "--yes", "--no-wait", "--the-other-instance-cannot-sign", "--silence", "0")
	if err == nil && !t.Done {
		err = errors.New("it was not done")
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

// bounded counts the levels that both signed, some levels later.
func (w *world) bounded(ctx context.Context) error {
	if err := w.levels(ctx, 3); err != nil {
		return err
	}
	levels := w.tally.overlap()
	w.result.note("levels that both signed: %v", levels)
	if len(levels) > maxOverlap {
		return fmt.Errorf("%d levels were signed by both", len(levels))
	}
	return nil
}

// overlap are the levels at which both sides signed one kind with one key.
func (t *tally) overlap() []int32 {
	type place struct {
		key   tezos.PublicKeyHash
		kind  tezos.Kind
		level int32
	}
	sides, out := map[place]int{}, []int32{}
	for _, s := range t.of(func(signature) bool { return true }) {
		at := place{s.key, s.kind, s.level}
		if before, ok := sides[at]; ok && before != s.side && !slices.Contains(out, s.level) {
			out = append(out, s.level)
		}
		sides[at] = s.side
	}
	return out
}

// lieFrozen: the machine that signs is frozen, as a paused virtual machine is, and the operator takes that for dead.
// When it thaws, what it was about to do goes on.
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
	return w.yields(ctx, "it thawed", func() error { return syscall.Kill(w.a.PID(), syscall.SIGCONT) })
}
