package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"highwater/test/failover/judge"
	"highwater/test/failover/network"

	"highwater/hwm"
	"highwater/operate"
)

// takeover takes over on a side, on the statement that the peer cannot sign, and waits for the side's first signature.
func (w *world) takeover(ctx context.Context, s *side, args ...string) error {
	_, err := w.takenOver(ctx, s, args...)
	return err
}

func (w *world) takenOver(ctx context.Context, s *side, args ...string) (t operate.TakeoverAnswer, err error) {
	begin := time.Now()
	err = s.asked(ctx, &t, append(
		[]string{"takeover", "--yes", "--no-wait", "--the-other-instance-cannot-sign"}, args...)...)
	if err == nil && !t.Done {
		err = fmt.Errorf("the takeover was refused: %v", t.Findings)
	}
	took := time.Since(begin)
	if err == nil {
		err = w.signsSince(ctx, s, begin)
	}
	if err != nil {
		return t, err
	}
	first := w.tally.By(s.index, begin)[0]
	w.result.note("taken over %s after the command, first signature after %s, at level %d", took.Round(time.Millisecond),
		first.At.Sub(begin).Round(time.Millisecond), first.Level)
	return t, nil
}

// standsBy waits until a side knows of the peer's right to sign, and checks that the side itself signs nothing.
func (w *world) standsBy(ctx context.Context, s *side) error {
	err := w.says(ctx, s, "stands by",
		func(st operate.Status) bool { return st.Role.Role == hwm.Standby && !st.Role.Mine && !st.Signing })
	return errors.Join(err, w.silent(ctx, s, 2))
}

// backAgain: the returned machine is the backup now, and a handover makes the machine sign again.
func (w *world) backAgain(ctx context.Context, s *side) error {
	if err := errors.Join(w.standsBy(ctx, s), w.follows(ctx, s)); err != nil {
		return err
	}
	if _, err := w.handover(ctx, s); err != nil {
		return err
	}
	return errors.Join(w.signs(ctx, s), w.silent(ctx, w.other(s), 2))
}

// takeoverAfterKill: the process dies, and the peer takes over. After any restart, the process has no right to sign.
func takeoverAfterKill(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 2), w.a.kill()); err != nil {
		return err
	}
	if err := w.takeover(ctx, w.b, "--silence", "3"); err != nil {
		return err
	}
	since := time.Now()
	if err := w.a.up(ctx); err != nil {
		return err
	}
	if err := w.standsBy(ctx, w.a); err != nil {
		return err
	}
	if err := w.signedNothing(w.a, since); err != nil {
		return err
	}
	return w.backAgain(ctx, w.a)
}

// takeoverAfterPowerOff cuts the power of the signing machine: its disk keeps everything synced, its links are down.
// Then the same with the peer.
func takeoverAfterPowerOff(ctx context.Context, w *world) error {
	if w.a.disk == nil {
		w.result.note("no disks of their own here: the power cut is a SIGKILL with the links down")
	}
	for _, dies := range w.sides() {
		if err := errors.Join(w.levels(ctx, 2), w.powerOff(ctx, dies)); err != nil {
			return err
		}
		if err := w.takeover(ctx, w.other(dies), "--silence", "2"); err != nil {
			return err
		}
		if err := w.powerOn(ctx, dies); err != nil {
			return err
		}
		if err := errors.Join(w.standsBy(ctx, dies), w.follows(ctx, dies)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) powerOff(ctx context.Context, s *side) error {
	if s.disk == nil {
		return errors.Join(s.kill(), s.unplug(ctx))
	}
	if err := s.disk.powerOff(); err != nil {
		return err
	}
	s.running.Store(false)
	err := s.EndAnyhow() // a commit on the dead disk may have ended the process
	return errors.Join(err, os.RemoveAll(s.runtime()), s.unplug(ctx))
}

func (w *world) powerOn(ctx context.Context, s *side) error {
	if s.disk != nil {
		if err := errors.Join(s.disk.powerOn(ctx), os.MkdirAll(s.runtime(), 0o700)); err != nil {
			return err
		}
	}
	return errors.Join(s.plug(ctx), s.up(ctx))
}

// takeoverFromUnplugged: the machines are cut off from each other. The signing machine lives, and its devices are
// unplugged, so the statement is true. With the link back, the machine stands by; with its devices back, too.
func takeoverFromUnplugged(ctx context.Context, w *world) error {
	err := errors.Join(w.levels(ctx, 2), w.a.unplug(ctx, network.LinkPeer), w.levels(ctx, 2))
	if err != nil {
		return err
	}
	w.a.loose.unplug()
	if err = errors.Join(w.silent(ctx, w.a, 2), w.takeover(ctx, w.b, "--silence", "2")); err != nil {
		return err
	}
	if err = errors.Join(w.a.plug(ctx, network.LinkPeer), w.ends(ctx, w.a)); err != nil {
		return err
	}
	if err = errors.Join(w.standsBy(ctx, w.a), w.a.loose.plug(ctx, w.a.ns)); err != nil {
		return err
	}
	return w.backAgain(ctx, w.a)
}

// ends waits until a side is no longer active. Its guard may have seen the peer's signatures before the news of the
// takeover: then the side is fenced, and its operator, aware of the cause, makes the side the backup.
func (w *world) ends(ctx context.Context, s *side) error {
	fenced := false
	err := w.says(ctx, s, "has ended", func(st operate.Status) bool {
		fenced = st.Role.Role == hwm.Fenced
		return st.Role.Role != hwm.Active
	})
	if err != nil || !fenced {
		return err
	}
	w.result.note("the guard of %s saw the peer's signatures, and fenced the side; then: highwater standby", s)
	var r operate.Role
	return s.asked(ctx, &r, "standby", "--why", "the peer took over")
}

// takeoverHealed: the statement is false, and the link comes back within the margin. The side thought dead yields
// before the peer may sign. A guard that saw the live side before has fenced the peer, and another takeover is needed.
func takeoverHealed(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 2), w.a.unplug(ctx, network.LinkPeer), w.levels(ctx, 2)); err != nil {
		return err
	}
	var t operate.TakeoverAnswer
	if err := w.b.asked(ctx, &t, "takeover", "--yes", "--no-wait", "--the-other-instance-cannot-sign", "--silence",
		"0"); err != nil {
		return err
	}
	if err := errors.Join(w.signs(ctx, w.a), w.a.plug(ctx, network.LinkPeer), w.standsBy(ctx, w.a)); err != nil {
		return err
	}
	st, err := w.b.status(ctx)
	if err == nil && st.Role.Role == hwm.Fenced {
		w.result.note("the guard of b saw the living a, and fenced b")
		err = w.takeover(ctx, w.b, "--silence", "1")
	}
	return errors.Join(err, w.signs(ctx, w.b), w.backAgain(ctx, w.a))
}

// comesBack ends the process, the machine or the network of the signing side. After the takeover, the side comes back
// at a random moment, without the right to sign.
func comesBack(ctx context.Context, w *world) error {
	signs := w.a
	for n := range 6 {
		what := []string{"process", "machine", "network and process"}[n%3]
		since, err := w.goneAndBack(ctx, signs, what)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", what, signs, err)
		}
		if err = errors.Join(w.standsBy(ctx, signs), w.follows(ctx, signs), w.signedNothing(signs, since)); err != nil {
			return fmt.Errorf("%s of %s: %w", what, signs, err)
		}
		signs = w.other(signs)
	}
	return nil
}

// goneAndBack ends the signing side, lets the peer take over, and brings the former side back, before or after the
// peer's first signature.
func (w *world) goneAndBack(ctx context.Context, s *side, what string) (since time.Time, err error) {
	alive := what == "network and process"
	switch what {
	case "process":
		err = s.kill()
	case "machine":
		err = w.powerOff(ctx, s)
	default:
		err = errors.Join(s.unplug(ctx), s.kill(), s.up(ctx)) // the process runs again, and can ask no peer
	}
	if err != nil {
		return since, err
	}
	since = time.Now()
	var t operate.TakeoverAnswer
	err = w.other(s).asked(ctx, &t, "takeover", "--yes", "--no-wait", "--the-other-instance-cannot-sign", "--silence", "1")
	if err == nil && w.rand.IntN(2) == 0 {
		err = w.signs(ctx, w.other(s))
	}
	switch {
	case err != nil:
		return since, err
	case what == "machine":
		err = w.powerOn(ctx, s)
	case alive:
		err = s.plug(ctx)
	default:
		err = s.up(ctx)
	}
	return since, errors.Join(err, w.signs(ctx, w.other(s)))
}

// maxTakeover is how long a takeover may take at six seconds a block, from the command to the first signature, three
// silent blocks included.
const maxTakeover = 30 * time.Second

// takeoverInEarnest is a takeover at the pace of a real chain. Most of the time goes into the wait for silence.
func takeoverInEarnest(ctx context.Context, w *world) error {
	if err := errors.Join(w.levels(ctx, 1), w.a.kill()); err != nil {
		return err
	}
	begin := time.Now()
	t, err := w.takenOver(ctx, w.b, "--silence", "3")
	if err != nil {
		return err
	}
	if t.Silence == nil || t.Silence.Levels < 3 {
		return fmt.Errorf("the takeover did not wait for three silent levels: %+v", t.Silence)
	}
	w.result.note("signs above level %d: %s", t.Floor, t.Reason)
	if err = w.signsAt(ctx, w.b, t.Floor+1); err != nil {
		return err
	}
	if took := w.tally.By(w.b.index, begin)[0].At.Sub(begin); took > maxTakeover {
		return fmt.Errorf("%s from the command to the first signature", took)
	}
	if err = w.a.up(ctx); err != nil {
		return err
	}
	return w.await(ctx, "a comes back and is refused",
		func() (bool, error) { return w.tally.Refused(w.a.String()) > 0, nil })
}

// signsAt waits until a side has attested a level.
func (w *world) signsAt(ctx context.Context, s *side, level int32) error {
	return w.await(ctx, fmt.Sprintf("%s attests level %d", s, level), func() (bool, error) {
		return len(w.tally.Of(func(sig judge.Signature) bool { return sig.Side == s.index && sig.Level == level })) > 0, nil
	})
}
