package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"highwater/test/harness"
)

// control breaks the rule that the rest of the lab is about: two instances with one key, not told of each other, are both activated. If
// the judge does not see it, the lab sees nothing.
func control(ctx context.Context, w *world) error {
	for _, s := range w.sides() {
		if _, err := s.Command(ctx, "activate", "--yes", "--level", strconv.Itoa(harness.StartLevel)); err != nil {
			return err
		}
	}
	if err := errors.Join(w.signs(ctx, w.a), w.signs(ctx, w.b), w.levels(ctx, 3)); err != nil {
		return err
	}
	if n := len(w.tally.doubles()); n == 0 {
		return errors.New("two signers of one key, and the judge saw nothing: this lab cannot fail")
	} else if w.result.note("the judge saw %d of them: the lab can fail", n); n < 2*len(w.keys) {
		return fmt.Errorf("the judge saw %d double signatures only", n)
	}
	return nil
}
