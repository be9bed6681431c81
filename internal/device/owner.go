package device

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// Session is an open, identified conversation with a device. One goroutine at a time uses a session.
type Session interface {
	// Close ends the conversation, and blocks no longer than the driver's own time-outs.
	Close() error
}

// Driver opens sessions and judges their errors. S is the driver's session type.
type Driver[S Session] interface {
	// Open connects, identifies the device, and reads the device's keys and marks. Open returns an *Error when the
	// device is not ready. After success, Describe gives the status fields about the device (model, app, id, where).
	Open(ctx context.Context) (S, error)
	// Probe is called now and then on an idle session, to check that the session still lives. After an *Error without
	// Retry the session stays open; any other error closes the session.
	Probe(ctx context.Context, s S) error
	// Describe fills the fields of a Status that describe the device of an open session. Health may be left empty for
	// Ready, or may say that the device is connected but cannot sign (locked).
	Describe(s S) Status
}

// Owner keeps one device connected and lends its session to one user at a time, first come first served. The
// maintenance goroutine (Run) connects, reconnects and probes, under the same rule.
//
// Invariant: every user of the session holds the baton (a receive from o.baton).
type Owner[S Session] struct {
	name   string
	driver Driver[S]
	log    *slog.Logger
	tick   time.Duration // between attempts to connect
	probe  time.Duration // between probes of an idle session

	baton chan struct{} // holds one token
	wake  chan struct{} // asks the maintenance goroutine to look now

	// session is valid when open is true. The holder of the baton guards session, open and seen.
	session S
	open    bool
	seen    time.Time // the time of opening the session, or of its last probe

	mu      sync.Mutex
	status  Status
	changed chan struct{} // closed and replaced at each change of status
}

// NotLookedFor is the advice of a device before the first look of Run.
const NotLookedFor = "not looked for yet"

// Timing of the maintenance goroutine.
const (
	DefaultTick  = 250 * time.Millisecond
	DefaultProbe = 5 * time.Second
)

// NewOwner makes an owner. Nothing happens before Run.
func NewOwner[S Session](name string, d Driver[S], log *slog.Logger) *Owner[S] {
	o := &Owner[S]{
		name: name, driver: d, log: log, tick: DefaultTick, probe: DefaultProbe,
		baton: make(chan struct{}, 1), wake: make(chan struct{}, 1), changed: make(chan struct{}),
		status: Status{Health: Absent, Advice: NotLookedFor, Since: time.Now()},
	}
	o.baton <- struct{}{}
	return o
}

// SetTiming changes the pace of the maintenance goroutine. Call SetTiming before Run.
func (o *Owner[S]) SetTiming(tick, probe time.Duration) { o.tick, o.probe = tick, probe }

// Status is the device's state now.
func (o *Owner[S]) Status() Status {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.status
}

// Changed is closed at the next change of status. Take Changed before reading Status, and no change is missed.
func (o *Owner[S]) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

// Poke makes the maintenance goroutine look now: a hot-plug event came.
func (o *Owner[S]) Poke() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// Update changes the status by hand. The holder of the session calls Update for busy, alarms and similar.
func (o *Owner[S]) Update(change func(*Status)) {
	if now, turned := o.update(change); turned { // the lock is free: no reader of the status waits for a log
		o.log.Info("device health", "device", o.name,
			"health", string(now.Health), "advice", now.Advice, "detail", now.Detail)
	}
}

// update returns the new status, and whether the health has changed.
func (o *Owner[S]) update(change func(*Status)) (now Status, turned bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.status
	change(&o.status)
	if o.status == before {
		return before, false
	}
	turned = o.status.Health != before.Health
	if turned {
		o.status.Since = time.Now()
	}
	close(o.changed)
	o.changed = make(chan struct{})
	return o.status, turned
}

// Notify wakes the waiters on Changed after a change of the device's keys, although the status is the same.
func (o *Owner[S]) Notify() {
	o.mu.Lock()
	defer o.mu.Unlock()
	close(o.changed)
	o.changed = make(chan struct{})
}

// Acquire waits for the device to be connected and free, and lends its session. The caller must call the returned
// function once, with the error that ended the use of the session (nil: no error). A session is closed and opened
// anew after an error with Retry, and after an error that is not an *Error. When ctx ends first, the error is an
// *Error with the device's state.
func (o *Owner[S]) Acquire(ctx context.Context) (s S, release func(error), err error) {
	for first := true; ; first = false {
		changed := o.Changed()
		select {
		case <-o.baton:
		case <-ctx.Done():
			return s, nil, o.unavailable(ctx.Err())
		}
		if err := ctx.Err(); err != nil { // baton and ctx were both ready: a caller that has gone gets nothing
			o.baton <- struct{}{}
			return s, nil, o.unavailable(err)
		}
		if o.open {
			return o.session, o.giveBack, nil
		}
		o.baton <- struct{}{}
		// only once: with a Poke at each change, a device failing in ever new words would be asked without a pause
		if first {
			o.Poke()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return s, nil, o.unavailable(ctx.Err())
		}
	}
}

func (o *Owner[S]) unavailable(cause error) error {
	st := o.Status()
	if st.Health == Ready {
		return &Error{Device: o.name, Health: Busy, Err: errors.New("the device is busy with earlier requests"), Retry: true}
	}
	text := "the device is " + string(st.Health)
	if st.Detail != "" {
		text += ": " + st.Detail
	}
	return &Error{
		Device: o.name, Health: st.Health, Hint: st.Advice,
		Err: errors.New(text + " (" + cause.Error() + ")"), Retry: true,
	}
}

// giveBack takes the session back from a user whose use ended in err.
func (o *Owner[S]) giveBack(err error) {
	if err != nil && fatal(err) {
		o.drop(err)
		o.Poke()
	}
	o.baton <- struct{}{}
}

// fatal tells whether a session cannot go on after err. Only after the device's own, complete answer can a session go
// on.
func fatal(err error) bool {
	var de *Error
	return !errors.As(err, &de) || de.Retry
}

// drop closes the session. The caller holds the baton.
func (o *Owner[S]) drop(cause error) {
	if o.open {
		o.open = false
		start := time.Now()
		err := o.session.Close()
		o.log.Debug("device close", "device", o.name,
			"duration_ms", time.Since(start).Milliseconds(), "cause", cause, "error", err)
		var none S
		o.session = none
	}
	o.fail(cause)
}

// fail shows in the status why no session is open.
func (o *Owner[S]) fail(cause error) {
	st := Status{Health: Absent, Detail: cause.Error()}
	var de *Error
	if errors.As(cause, &de) {
		st.Health, st.Advice, st.Detail = de.Health, de.Hint, de.Err.Error()
	}
	o.Update(func(s *Status) { s.Health, s.Advice, s.Detail = st.Health, st.Advice, st.Detail })
}

// Run connects, reconnects and probes until ctx ends. After the end of ctx, Run takes the device from its last user
// and closes the device.
func (o *Owner[S]) Run(ctx context.Context) {
	for {
		wait := o.maintain(ctx)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-o.wake:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			<-o.baton
			o.drop(&Error{Health: Absent, Hint: "the signer is stopping", Err: ctx.Err(), Retry: true})
			o.baton <- struct{}{}
			return
		}
	}
}

// maintain does one round: open a closed session, probe an idle session. The result is the wait before the next
// round.
func (o *Owner[S]) maintain(ctx context.Context) time.Duration {
	select {
	case <-o.baton:
	default:
		return o.tick // the session is in use, and lives
	}
	defer func() { o.baton <- struct{}{} }()
	if o.open {
		if left := o.tick - time.Since(o.seen); left > 0 {
			return left // a poke came during the opening: a waiting user goes first
		}
		o.seen = time.Now()
		if err := o.driver.Probe(ctx, o.session); err != nil && fatal(err) {
			o.drop(err)
			return o.tick
		}
		o.describe()
		return o.probe
	}
	start := time.Now()
	s, err := o.driver.Open(ctx)
	if took := time.Since(start); err == nil || took > o.tick {
		o.log.Debug("device open", "device", o.name, "duration_ms", took.Milliseconds(), "error", err)
	}
	if err != nil {
		if ctx.Err() == nil {
			o.fail(err)
		}
		return o.tick
	}
	o.session, o.open, o.seen = s, true, time.Now()
	o.describe()
	o.Notify() // the status may read as before; a session is open for the waiters
	return o.probe
}

// Refresh shows the session's description in the status. Call Refresh while holding the session, after a change.
func (o *Owner[S]) Refresh() { o.describe() }

func (o *Owner[S]) describe() {
	d := o.driver.Describe(o.session)
	o.Update(func(s *Status) {
		since := s.Since
		if d.Health == "" {
			d.Health = Ready
		}
		*s = d
		s.Since = since
	})
}
