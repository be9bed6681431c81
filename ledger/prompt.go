package ledger

import (
	"context"
	"errors"
	"fmt"

	"highwater/internal/device"
)

// ErrOnScreen is wrapped when the caller stopped waiting for a prompt. The prompt is still on the device's screen,
// the device is busy until the user answers, and the device does what the user chooses.
var ErrOnScreen = errors.New("the prompt is still on the device's screen")

// errLeaving is the cause when Leave sends callers away.
var errLeaving = errors.New("the signer is stopping")

// Leave sends away all callers that wait for a person at the device, now and later, with ErrOnScreen. Call Leave
// before Run ends, when requests get no more time.
func (d *Device) Leave() { d.leave(errLeaving) }

// shown sends a command whose answer waits for the user, and waits for the answer. When ctx ends first, or Leave is
// called, the caller gets ErrOnScreen and left: the session is no longer the caller's. The session stays busy until
// the answer has come, and is released only after the answer: a next holder would pair the answer with the wrong
// command. A late answer reaches nobody. Without left the session is still the caller's.
func (d *Device) shown(
	ctx context.Context, s *session, c command, release func(error),
) (out []byte, left bool, err error) {
	type answer struct {
		out []byte
		err error
	}
	answers := make(chan answer, 1)
	d.others.Go(func() {
		out, err := s.exchange(d.life, c)
		answers <- answer{out, err}
	})
	var why error
	select {
	case a := <-answers:
		return a.out, false, a.err
	case <-ctx.Done():
		why = ctx.Err()
	case <-d.people.Done():
		why = context.Cause(d.people)
	}
	d.others.Go(func() {
		a := <-answers
		release(d.named(d.answered(s, c, a.err)))
	})
	return nil, true, &device.Error{
		Health: device.Busy, Hint: advicePrompt, Asked: true, Err: fmt.Errorf("%w: %w", ErrOnScreen, why),
	}
}

// answered reads the device again after a prompt whose exchange ended in err: the authorised key and the marks may be
// new. The result is the error that ends the use of the session. The caller holds the session.
func (d *Device) answered(s *session, c command, err error) error {
	if err == nil || statusOf(err) == StatusRejected {
		s.byHand = err == nil && c.setsMarks()
		err = d.prepare(d.life, s)
	}
	var de *device.Error
	if err == nil || errors.As(err, &de) && !de.Retry { // else the session ends
		d.owner.Refresh()
	}
	return err
}

// prompt sends a command that asks the user, and waits for the answer, or leaves with ErrOnScreen.
func (d *Device) prompt(ctx context.Context, c command, text string, show Show) ([]byte, error) {
	s, release, err := d.owner.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	d.owner.Update(func(st *device.Status) { st.Health, st.Advice, st.Detail = device.Busy, advicePrompt, text })
	if show != nil {
		show(text)
	}
	out, left, err := d.shown(ctx, s, c, release)
	if !left {
		release(d.named(d.answered(s, c, err)))
	}
	return out, d.named(err)
}
