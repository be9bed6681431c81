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

// bothActivated: both operators activate at once, again and again. At most one instance gets the right.
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
			return fmt.Errorf("%d of two instances are active after %d simultaneous activations", done, tries)
		}
	}
	w.result.note("activated at once: a single instance became active, at try %d", tries)
	return w.oneAtMost(ctx, 3)
}

// bothOwners: each side took over while the peer was down, both on true statements. Both start at once, each with a
// durable right to sign in the same epoch: one side signs, or none.
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
		w.result.note("both started with the right to sign: %s signs", signs)
		if signs == w.b { // so that a is the first again
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

// quietAlone checks that a side signs nothing for some levels while the peer is down.
func (w *world) quietAlone(ctx context.Context, s *side) error { return w.silent(ctx, s, 3) }

// settled waits until exactly one side reports the right to sign, and checks the report.
func (w *world) settled(ctx context.Context) (signs *side, err error) {
	err = w.await(ctx, "exactly one side signs", func() (bool, error) {
		signs = nil
		for _, s := range w.sides() {
			st, statusErr := s.status(ctx)
			if statusErr != nil {
				return false, statusErr
			}
			if st.Signing && signs != nil {
				return false, errors.New("both sides report the right to sign")
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

// restored puts an older copy of a state directory back: of the same epoch, of an earlier epoch, and on the side that
// does not sign. The copy signs nothing, and raises an alarm.
func restored(ctx context.Context, w *world) error {
	for _, step := range []func(context.Context, *world) error{restoredSameEpoch, restoredOldEpoch, restoredBackup} {
		if err := step(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

// restoredSameEpoch: the copy of a is of the present epoch, in which a signs; its marks are some levels old.
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
	// The operator's next steps: stop this side, take over on the peer, make this side the backup.
	if err = errors.Join(w.a.kill(), w.takeover(ctx, w.b, "--silence", "1")); err != nil {
		return err
	}
	return errors.Join(w.a.up(ctx), w.backAgain(ctx, w.a))
}

// restoredOldEpoch: the copy of a is of an epoch that a gave away; the right came back since.
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

// restoredBackup: b signs; the copy of a is from the time when a signed. No request makes a sign beside b.
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
		return fmt.Errorf("an old copy of the signing side: %w", err)
	}
	_, first := w.handover(ctx, w.b)
	w.result.note("a handover to a copy of an earlier epoch: %v", oneLine(first))
	return w.oneAtMost(ctx, 3)
}

// alarmed waits until a side raises the alarm of an old copy.
func (w *world) alarmed(ctx context.Context, s *side) error {
	return w.says(ctx, s, "raises the alarm of an old copy", func(st operate.Status) bool {
		return st.Pair != nil && st.Pair.Peer != nil && !st.Signing && strings.Contains(st.Pair.Waiting, "old copy")
	})
}

// takeCopy copies the state of a side during a short stop, and gives the function that puts the copy back.
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

// private sets the modes that the program wants on a copied directory.
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
		return "success"
	}
	text, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return text
}
