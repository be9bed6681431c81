package main

import (
	"context"
	"strconv"

	"highwater/test/failover/network"

	"highwater/test/harness"
)

// control breaks the rule under test: two instances with one key, without a peer and without a node for the guard, are
// both activated. The judge must see the double signatures; else the lab is blind.
func control(ctx context.Context, w *world) error {
	for _, s := range w.sides() {
		if err := s.unplug(ctx, network.LinkNode); err != nil {
			return err
		}
		if _, err := s.Command(ctx, "activate", "--yes", "--level", strconv.Itoa(harness.StartLevel)); err != nil {
			return err
		}
	}
	err := w.await(ctx, "the judge sees two signers of each key (or the lab cannot fail)", func() (bool, error) {
		return len(w.tally.Doubles()) >= 2*len(w.keys), nil
	})
	if err != nil {
		return err
	}
	w.result.note("the judge saw %d double signatures: the lab can fail", len(w.tally.Doubles()))
	return nil
}
