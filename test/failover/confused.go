package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"highwater/hwm"
	"highwater/operate"
	"highwater/test/harness"
)

// bothActivated: both operators activate at once, again and again; at most one of them gets it.
func bothActivated(ctx context.Context, w *world) error {
	tries := 0
	for done := 0; done == 0; tries++ {
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, s := range w.sides() {
			wg.Go(func() { _, errs[i] = s.Command(ctx, "activate", "--yes", "--level", strconv.Itoa(harness.StartLevel)) })
		}
		wg.Wait()
		for _, err := range errs {
			if err == nil {
				done++
			}
		}
		if done > 1 || tries > 50 {
			return fmt.Errorf("%d of two that were activated at once are active after %d tries", done, tries)
		}
	}
	w.result.note("activated at once: one of them was, at try %d", tries)
	return w.oneAtMost(ctx, 3)
}

// bothOwners: each side took over while the other was down, and both statements were true. Both are started at once,
// each with a durable right to sign in the same epoch: one of them signs, or none.
func bothOwners(ctx context.Context, w *world) error {
	for range 3 {
		if err := w.makeBothOwners(ctx); err != nil {
			return err
		}
		errs := make([]error, 2)
		var wg sync.WaitGroup
		for i, s := range w.sides() {
			wg.Go(func() { errs[i] = s.up(ctx) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
		signs, err := w.settled(ctx)
		if err != nil {
			return err
		}
		w.result.note("both started as the one that signs: %s does", signs)
		if signs == w.b { // so that it begins with a again
			if _, err = w.handover(ctx, w.a); err != nil {
				return err
			}
		}
		if err = errors.Join(w.signs(ctx, w.a), w.quiet(ctx, w.b)); err != nil {
			return err
		}
	}
	return nil
}

// makeBothOwners leaves two stopped instances that both own the same epoch. a signs at the start.
func (w *world) makeBothOwners(ctx context.Context) error {
	if err := errors.Join(w.a.kill(), w.takeover(ctx, w.b, "--silence", "1"), w.b.kill(), w.a.up(ctx)); err != nil {
		return err
	}
	err := w.says(ctx, w.a, "owns an epoch, and does not sign",
		func(st operate.Status) bool { return st.Role.Role == hwm.Active && !st.Signing })
	return errors.Join(err, w.quietAlone(ctx, w.a), w.takeover(ctx, w.a, "--silence", "1"), w.a.kill())
}

// quietAlone sees that a side signs nothing for some levels while the other one is down.
func (w *world) quietAlone(ctx context.Context, s *side) error { return w.silent(ctx, s, 3) }

// settled waits until exactly one of the two says that it signs, and sees that it is so.
func (w *world) settled(ctx context.Context) (signs *side, err error) {
	err = w.await(ctx, "one of the two signs", func() (bool, error) {
		signs = nil
		for _, s := range w.sides() {
			st, statusErr := s.status(ctx)
			if statusErr != nil {
				return false, statusErr
			}
			if st.Signing && signs != nil {
				return false, errors.New("both say that they sign")
			}
			if st.Signing {
				signs = s
			}
		}
		return signs != nil, nil
	})
	if err != nil {
		return nil, err
	}
	return signs, errors.Join(w.signs(ctx, signs), w.quiet(ctx, w.other(signs)))
}

// restored: a state directory is put back to an older copy: from the same epoch, from an earlier one, and on the side
// that does not sign. The copy signs nothing, and says what it is.
func restored(ctx context.Context, w *world) error {
	for _, step := range []func(context.Context, *world) error{restoredSameEpoch, restoredOldEpoch, restoredBackup} {
		if err := step(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// restoredSameEpoch: a's copy is of the epoch in which it still signs; its marks are of some levels ago.
func restoredSameEpoch(ctx context.Context, w *world) error {
	put, err := w.takeCopy(ctx, w.a)
	if err != nil {
		return err
	}
	if err = errors.Join(w.signs(ctx, w.a), w.levels(ctx, 4), w.follows(ctx, w.b), w.levels(ctx, 2)); err != nil {
		return err
	}
	if err = errors.Join(w.a.kill(), put(), w.a.up(ctx)); err != nil {
		return err
	}
	if err = errors.Join(w.alarmed(ctx, w.a), w.silent(ctx, w.a, 3)); err != nil {
		return fmt.Errorf("an old copy of the same epoch: %w", err)
	}
	// What an operator does then: stop it, take over on the other one, and have this one as its backup.
	if err = errors.Join(w.a.kill(), w.takeover(ctx, w.b, "--silence", "1")); err != nil {
		return err
	}
	return errors.Join(w.a.up(ctx), w.backAgain(ctx, w.a))
}

// restoredOldEpoch: a's copy is of an epoch that was given away and came back since.
func restoredOldEpoch(ctx context.Context, w *world) error {
	put, err := w.takeCopy(ctx, w.a)
	if err != nil {
		return err
	}
	if err = w.signs(ctx, w.a); err != nil {
		return err
	}
	for _, to := range []*side{w.b, w.a} {
		if _, err = w.handover(ctx, to); err != nil {
			return err
		}
		if err = w.signs(ctx, to); err != nil {
			return err
		}
	}
	if err = errors.Join(w.a.kill(), put(), w.a.up(ctx), w.silent(ctx, w.a, 3)); err != nil {
		return fmt.Errorf("an old copy of an earlier epoch: %w", err)
	}
	if err = errors.Join(w.a.kill(), w.takeover(ctx, w.b, "--silence", "1")); err != nil {
		return err
	}
	return errors.Join(w.a.up(ctx), w.standsBy(ctx, w.a))
}

// restoredBackup: b signs; a's copy is of when it signed. Nothing that anybody asks makes it sign beside b.
func restoredBackup(ctx context.Context, w *world) error {
	put, err := w.takeCopy(ctx, w.b) // b signs now
	if err != nil {
		return err
	}
	if err = w.signs(ctx, w.b); err != nil {
		return err
	}
	if _, err = w.handover(ctx, w.a); err != nil {
		return err
	}
	if err = errors.Join(w.signs(ctx, w.a), w.b.kill(), put(), w.b.up(ctx)); err != nil {
		return err
	}
	if err = errors.Join(w.standsBy(ctx, w.b), w.signs(ctx, w.a)); err != nil {
		return fmt.Errorf("an old copy of the one that signed: %w", err)
	}
	_, first := w.handover(ctx, w.b)
	w.result.note("a handover to a copy of an earlier epoch: %v", oneLine(first))
	return w.oneAtMost(ctx, 3)
}

// alarmed waits until a side says that its state is an old copy.
func (w *world) alarmed(ctx context.Context, s *side) error {
	return w.says(ctx, s, "finds its state an old copy", func(st operate.Status) bool {
		return st.Pair != nil && st.Pair.Peer != nil && !st.Signing && strings.Contains(st.Pair.Waiting, "old copy")
	})
}

// takeCopy copies the state of a side, while it is stopped for a moment, and gives what puts the copy back.
func (w *world) takeCopy(ctx context.Context, s *side) (put func() error, err error) {
	state := filepath.Join(s.Dir, "state")
	kept := filepath.Join(s.Dir, fmt.Sprintf("copy-%d", w.rand.Uint32()))
	if err = errors.Join(s.kill(), os.CopyFS(kept, os.DirFS(state)), s.up(ctx)); err != nil {
		return nil, err
	}
	return func() error {
		if err := os.RemoveAll(state); err != nil {
			return err
		}
		if err := os.CopyFS(state, os.DirFS(kept)); err != nil {
			return err
		}
		return private(state)
	}, nil
}

// private gives a copied directory the modes that it must have.
func private(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.Chmod(filepath.Join(dir, e.Name()), 0o600))
	}
	return errors.Join(err, os.Chmod(dir, 0o700)) //nolint:gosec // a directory
}

// oneLine is an error for a note.
func oneLine(err error) string {
	if err == nil {
		return "it was done"
	}
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return text
}
