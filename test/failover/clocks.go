package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"highwater/failover"
)

// clocks sets the wall clocks of the two machines hours apart. The right to sign does not depend on clocks. The check
// of a node's head does: a machine with a fast clock gets no right by a handover, and says why.
func clocks(ctx context.Context, w *world) error {
	if err := w.reset(ctx, w.b, -5*time.Hour); err != nil {
		return err
	}
	for _, to := range []*side{w.b, w.a, w.b, w.a} {
		if _, err := w.handover(ctx, to); err != nil {
			return fmt.Errorf("b is five hours behind: %w", err)
		}
		if err := errors.Join(w.signs(ctx, to), w.quiet(ctx, w.other(to))); err != nil {
			return err
		}
	}
	// The owner is killed, comes back with another clock, and asks: clocks are no part of the answer.
	if err := errors.Join(w.a.kill(), w.reset(ctx, w.a, -26*time.Hour), w.signs(ctx, w.a), w.quiet(ctx, w.b)); err != nil {
		return fmt.Errorf("a came back a day behind: %w", err)
	}
	// The side dies, and the peer takes over. With any clock, the side comes back without the right to sign.
	if err := errors.Join(w.a.kill(), w.takeover(ctx, w.b, "--silence", "1")); err != nil {
		return err
	}
	for _, skew := range []time.Duration{-26 * time.Hour, 9 * time.Hour, 0} {
		if err := errors.Join(w.reset(ctx, w.a, skew), w.standsBy(ctx, w.a), w.follows(ctx, w.a)); err != nil {
			return fmt.Errorf("a came back %s off: %w", skew, err)
		}
	}
	return w.ahead(ctx)
}

// ahead: b signs. The clock of a is fast, so on a the newest block seems hours old.
func (w *world) ahead(ctx context.Context) error {
	if err := errors.Join(w.reset(ctx, w.a, 7*time.Hour), w.follows(ctx, w.a)); err != nil {
		return err
	}
	var h failover.Handover
	err := w.a.asked(ctx, &h, "handover", "--yes", "--now")
	if err == nil || !strings.Contains(err.Error(), `"node"`) {
		return fmt.Errorf("a is seven hours ahead, and the handover was not refused for the node of a: %w", err)
	}
	if err = errors.Join(w.signs(ctx, w.b), w.quiet(ctx, w.a), w.reset(ctx, w.a, 0), w.follows(ctx, w.a)); err != nil {
		return err
	}
	if _, err = w.handover(ctx, w.a); err != nil {
		return err
	}
	return errors.Join(w.signs(ctx, w.a), w.quiet(ctx, w.b))
}

// reset starts a side again with the given error of its clock.
func (w *world) reset(ctx context.Context, s *side, skew time.Duration) error {
	if s.running.Load() {
		if err := s.kill(); err != nil {
			return err
		}
	}
	s.Env = []string{"HIGHWATER_LAB_SKEW=" + skew.String()}
	return s.up(ctx)
}
