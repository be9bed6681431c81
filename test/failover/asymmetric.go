package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"highwater/test/failover/proxy"
)

// asymmetric loses all packets of one direction between the machines, for each side in turn and in both directions:
// before a handover, and in the middle of a handover, when the answer of the old side can never arrive. At no time do
// both sides sign. Once the link is whole, a second request finishes the handover.
func asymmetric(ctx context.Context, w *world) error {
	signs, stuck := w.a, 0
	for _, broken := range w.sides() {
		for _, way := range []struct {
			name string
			cut  func(context.Context, int) error
		}{{"hears nothing", w.net.Deafen}, {"is not heard", w.net.Mute}} {
			to := w.other(signs)
			cut := func() { w.fault(way.cut(ctx, broken.machine())) }
			// Before.
			cut()
			if _, err := w.handover(ctx, to); err == nil {
				return fmt.Errorf("%s %s, and a handover went through", broken, way.name)
			}
			if err := errors.Join(w.quiet(ctx, to), w.net.Hear(ctx, broken.machine()), w.signs(ctx, signs)); err != nil {
				return err
			}
			// In the middle: at a random answer.
			w.arrangeOne(w.rand.IntN(4), proxy.Fate{At: proxy.OnAnswer, Call: cut})
			_, first := w.handover(ctx, to, "--now")
			w.arrange(nil)
			if first != nil {
				stuck++
			}
			if err := w.oneAtMost(ctx, 2); err != nil {
				return fmt.Errorf("%s %s: %w", broken, way.name, err)
			}
			if err := errors.Join(w.net.Hear(ctx, broken.machine()), w.finish(ctx, to, first), w.signs(ctx, to),
				w.quiet(ctx, signs)); err != nil {
				return fmt.Errorf("%s %s: %w", broken, way.name, err)
			}
			signs = to
		}
	}
	w.result.note("%d handovers were stuck half way, and finished over the mended link", stuck)
	return nil
}

// oneAtMost checks that at most one side signs during some levels.
func (w *world) oneAtMost(ctx context.Context, levels int32) error {
	since := time.Now()
	if err := w.levels(ctx, levels); err != nil {
		return err
	}
	if len(w.tally.By(0, since)) > 0 && len(w.tally.By(1, since)) > 0 {
		return errors.New("both sign")
	}
	return nil
}
