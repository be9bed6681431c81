package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"highwater/test/failover/network"

	"highwater/failover"
)

// Bounds of the cost of a planned handover.
const (
	plannedHandovers = 6
	maxGap           = 300 * time.Millisecond
)

// planned hands over to and fro at random moments of a level, with requests alternately on the signing side and on its
// peer.
func planned(ctx context.Context, w *world) error {
	if err := w.levels(ctx, 1); err != nil {
		return err
	}
	from, begin := w.level(), time.Now()
	signs := w.a
	for n := range plannedHandovers {
		asked := []*side{signs, w.other(signs)}[n/2%2]
		ask := w.handover
		if n < plannedHandovers/3 {
			ask = w.handoverInAGoodMoment
		}
		h, err := ask(ctx, asked)
		if err != nil {
			return fmt.Errorf("handover %d, asked for on %s: %w", n+1, asked, err)
		}
		signs = w.other(signs)
		if h.To.String() != signs.key {
			return fmt.Errorf("handover %d went to %s", n+1, h.To.Short())
		}
		w.result.note("handover %d, asked for on %s: the program says %.1f ms", n+1, asked, h.GapMS)
		if err = w.signs(ctx, signs); err != nil {
			return err
		}
		if err = errors.Join(w.silent(ctx, w.other(signs), 1), w.moment(ctx)); err != nil {
			return err
		}
	}
	gap, within := w.tally.Gaps(w.probe.Hash(), begin)
	w.result.gap(gap)
	w.result.note("the longest time between two signatures of a side: %s", within.Round(time.Millisecond))
	if gap > maxGap {
		return fmt.Errorf("nobody signed for %s, more than %s", gap, maxGap)
	}
	return w.missedNone(from, w.level()-1)
}

// moment waits for some moment within a level.
func (w *world) moment(ctx context.Context) error {
	select {
	case <-time.After(time.Duration(w.rand.Int64N(int64(w.interval)))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handover hands over from a command on a side, without waiting for a good moment.
func (w *world) handover(ctx context.Context, s *side, args ...string) (failover.Handover, error) {
	return w.handoverInAGoodMoment(ctx, s, append(args, "--now")...)
}

func (w *world) handoverInAGoodMoment(ctx context.Context, s *side, args ...string) (failover.Handover, error) {
	var h failover.Handover
	err := s.asked(ctx, &h, append([]string{"handover", "--yes"}, args...)...)
	if err == nil && !h.Done {
		err = errors.New("the handover was refused")
	}
	return h, err
}

// silent checks that a side signs nothing for some levels, though its bakers always ask.
func (w *world) silent(ctx context.Context, s *side, levels int32) error {
	since := time.Now()
	if err := w.levels(ctx, levels); err != nil {
		return err
	}
	return w.signedNothing(s, since)
}

// quiet checks that a side signs nothing from now on, for the time that the peer needs for a signature.
func (w *world) quiet(ctx context.Context, s *side) error {
	since := time.Now()
	if err := w.signs(ctx, w.other(s)); err != nil {
		return err
	}
	return w.signedNothing(s, since)
}

// signedNothing looks whether a side has signed since a moment.
func (w *world) signedNothing(s *side, since time.Time) error {
	if signed := w.tally.By(s.index, since); len(signed) > 0 {
		return fmt.Errorf("%s signed %s at level %d, and should not sign", s, signed[0].Kind, signed[0].Level)
	}
	return nil
}

// missedNone wants all levels of a range attested by all keys.
func (w *world) missedNone(from, to int32) error {
	missed := w.tally.Missed(w.keys, from, to)
	w.result.Missed += len(missed)
	w.result.Counted += int(to - from + 1)
	if len(missed) > 0 {
		return fmt.Errorf("levels were missed: %v", missed)
	}
	return nil
}

// byLevel sets a cut-over some levels ahead: one side signs up to the level, the other side above the level, and no
// level is missed. The way back is live.
func byLevel(ctx context.Context, w *world) error {
	if err := w.levels(ctx, 1); err != nil { // the activation was in the present level
		return err
	}
	signs := w.a
	for n := range 4 {
		asked := []*side{signs, w.other(signs)}[n%2]
		from, cut := w.level(), w.level()+4
		h, err := w.handover(ctx, asked, "--at", fmt.Sprint(cut))
		if err != nil {
			return fmt.Errorf("asked for on %s: %w", asked, err)
		}
		if h.At == nil || *h.At != cut {
			return errors.New("the handover was not by level")
		}
		if err = w.divided(ctx, signs, cut); err != nil {
			return err
		}
		signs = w.other(signs)
		if err = w.missedNone(from, cut+3); err != nil {
			return err
		}
	}
	return w.backAgain(ctx, w.other(signs))
}

// divided waits until the chain is past a cut-over, and checks that each side signed only its own part.
func (w *world) divided(ctx context.Context, old *side, cut int32) error {
	since := time.Now()
	if err := errors.Join(w.chain.Await(ctx, cut+4), w.signs(ctx, w.other(old))); err != nil {
		return err
	}
	for _, s := range w.tally.By(old.index, since) {
		if s.Level > cut {
			return fmt.Errorf("%s signed %s at level %d, above its last level %d", old, s.Kind, s.Level, cut)
		}
	}
	for _, s := range w.tally.By(1-old.index, since) {
		if s.Level <= cut {
			return fmt.Errorf("%s signed %s at level %d, at or below the cut at level %d", w.other(old), s.Kind,
				s.Level, cut)
		}
	}
	return nil
}

// offline cuts the link, and moves the right to sign on a stick. The certificate is good for one activation, on one
// machine.
func offline(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 1), w.a.unplug(ctx, network.LinkPeer)); err != nil {
		return err
	}
	if _, err := w.handover(ctx, w.b); err == nil {
		return errors.New("a handover succeeded over a cut link")
	}
	from, cut := w.level(), w.level()+6
	mine, theirs := filepath.Join(w.a.Dir, "cut.json"), filepath.Join(w.b.Dir, "cut.json")
	if _, err := w.a.Command(ctx, "release", "--yes", "--at", fmt.Sprint(cut), "--out", mine); err != nil {
		return err
	}
	if err := copyFile(mine, theirs); err != nil {
		return err
	}
	if _, err := w.a.Command(ctx, "accept", "--yes", "--in", mine); err == nil {
		return errors.New("the giver accepted its own certificate")
	}
	if _, err := w.b.Command(ctx, "accept", "--yes", "--in", theirs); err != nil {
		return err
	}
	if err := errors.Join(w.divided(ctx, w.a, cut), w.missedNone(from, cut+3)); err != nil {
		return err
	}
	if _, err := w.b.Command(ctx, "accept", "--yes", "--in", theirs); err == nil {
		return errors.New("a certificate was good twice")
	}
	if err := errors.Join(w.a.plug(ctx, network.LinkPeer), w.backAgain(ctx, w.a)); err != nil {
		return err
	}
	if _, err := w.b.Command(ctx, "accept", "--yes", "--in", theirs); err == nil {
		return errors.New("a certificate was good again after the right had been given back")
	}
	return w.silent(ctx, w.b, 2)
}
