package device_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/device"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// session counts its closings.
type session struct {
	id     int
	closed int
}

func (s *session) Close() error {
	s.closed++
	return nil
}

// driver is a device in memory: it opens sessions, numbered from 1, unless openErr says why not.
type driver struct {
	mu       sync.Mutex
	opened   []*session
	attempts int
	openErr  func(attempt int) error
	probeErr error
	probes   int
	health   device.Health
}

func (d *driver) Open(context.Context) (*session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.attempts++
	if d.openErr != nil {
		if err := d.openErr(d.attempts); err != nil {
			return nil, err
		}
	}
	s := &session{id: len(d.opened) + 1}
	d.opened = append(d.opened, s)
	return s, nil
}

func (d *driver) Probe(context.Context, *session) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.probes++
	return d.probeErr
}

func (d *driver) Describe(*session) device.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return device.Status{Health: d.health, Model: "model"}
}

func (d *driver) set(change func(d *driver)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *driver) count() (attempts, opened int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.attempts, len(d.opened)
}

var errGone = &device.Error{Health: device.Absent, Hint: "plug it in", Err: errors.New("gone"), Retry: true}

// run starts an owner in a bubble and waits for its end when the test is over.
func run(t *testing.T, d *driver, test func(t *testing.T, o *device.Owner[*session])) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o := device.NewOwner("left", d, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			o.Run(ctx)
		}()
		test(t, o)
		cancel()
		<-done
		for _, s := range d.opened {
			require.Equal(t, 1, s.closed, "every session is closed once")
		}
	})
}

// within is a context that ends after a while of the bubble's time.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestOwnerBeginsAbsent(t *testing.T) {
	o := device.NewOwner("left", &driver{}, slog.New(slog.DiscardHandler))
	require.Equal(t, device.Absent, o.Status().Health)
	require.NotEmpty(t, o.Status().Advice)
}

func TestOwnerConnectsAndLends(t *testing.T) {
	d := &driver{}
	run(t, d, func(t *testing.T, o *device.Owner[*session]) {
		s, release, err := o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		require.Equal(t, 1, s.id)
		require.Equal(t, device.Ready, o.Status().Health, "ready, when the driver does not say otherwise")
		require.Equal(t, "model", o.Status().Model)
		release(nil)
		s, release, err = o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		require.Equal(t, 1, s.id, "a session is kept")
		release(nil)
	})
}

func TestOwnerLendsToOneAtATimeInOrder(t *testing.T) {
	d := &driver{}
	run(t, d, func(t *testing.T, o *device.Owner[*session]) {
		_, release, err := o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		order := make(chan int, 10)
		for i := range 10 {
			go func() {
				_, giveBack, err := o.Acquire(t.Context())
				if err != nil {
					return
				}
				order <- i
				giveBack(nil)
			}()
			synctest.Wait() // it queues before the next one starts
		}
		require.Empty(t, order)
		release(nil)
		for want := range 10 {
			require.Equal(t, want, <-order)
		}
	})
}

// What closes a session, and what does not: a device's own complete answer leaves it as it is.
func TestOwnerOpensAnewAfterABreak(t *testing.T) {
	refused := &device.Error{Health: device.Ready, Err: device.ErrRefused}
	for name, row := range map[string]struct {
		err  error
		next int // the session that comes next
	}{
		"no error":          {nil, 1},
		"an answer":         {refused, 1},
		"a wrapped answer":  {fmt.Errorf("signing: %w", refused), 1},
		"gone":              {errGone, 2},
		"a wrapped break":   {fmt.Errorf("signing: %w", errGone), 2},
		"something unknown": {errors.New("what is this"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			d := &driver{}
			run(t, d, func(t *testing.T, o *device.Owner[*session]) {
				_, release, err := o.Acquire(within(t, time.Second))
				require.NoError(t, err)
				release(row.err)
				s, release, err := o.Acquire(within(t, time.Second))
				require.NoError(t, err)
				require.Equal(t, row.next, s.id)
				release(nil)
			})
		})
	}
}

// Faults are absorbed in a request: whoever waits gets the device when it is back.
func TestOwnerWaitsForADeviceThatComesBack(t *testing.T) {
	const away = 8 // attempts, at one a tick: two seconds
	d := &driver{openErr: func(attempt int) error {
		if attempt <= away {
			return errGone
		}
		return nil
	}}
	run(t, d, func(t *testing.T, o *device.Owner[*session]) {
		start := time.Now()
		_, release, err := o.Acquire(within(t, 3*time.Second))
		require.NoError(t, err)
		require.LessOrEqual(t, time.Since(start), away*device.DefaultTick)
		release(nil)
	})
}

func TestOwnerSaysWhyThereIsNoDevice(t *testing.T) {
	d := &driver{openErr: func(int) error { return errGone }}
	run(t, d, func(t *testing.T, o *device.Owner[*session]) {
		_, release, err := o.Acquire(within(t, time.Second))
		require.Nil(t, release)
		var de *device.Error
		require.ErrorAs(t, err, &de)
		require.Equal(t, device.Absent, de.Health)
		require.Equal(t, "plug it in", de.HintText())
		require.True(t, de.Retry)
		require.False(t, de.Asked)
		require.ErrorContains(t, err, "device left")
		require.ErrorContains(t, err, "gone")
	})
}

func TestOwnerSaysThatTheDeviceIsBusy(t *testing.T) {
	run(t, &driver{}, func(t *testing.T, o *device.Owner[*session]) {
		_, release, err := o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		_, _, err = o.Acquire(within(t, time.Second))
		var de *device.Error
		require.ErrorAs(t, err, &de)
		require.Equal(t, device.Busy, de.Health)
		release(nil)
	})
}

// A client that gave up must not get the device, or a watermark would be spent for nobody.
func TestOwnerLendsNothingToWhoHasGone(t *testing.T) {
	run(t, &driver{}, func(t *testing.T, o *device.Owner[*session]) {
		_, release, err := o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		release(nil)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 100 {
			_, _, err = o.Acquire(gone)
			require.Error(t, err)
		}
		_, release, err = o.Acquire(within(t, time.Second))
		require.NoError(t, err, "and the device is still to be had")
		release(nil)
	})
}

// A device that fails in other words each time is asked at the usual pace, however many wait for it.
func TestOwnerDoesNotHammerADevice(t *testing.T) {
	d := &driver{openErr: func(attempt int) error {
		return &device.Error{Health: device.Absent, Err: fmt.Errorf("reset by port %d", 40000+attempt), Retry: true}
	}}
	run(t, d, func(t *testing.T, o *device.Owner[*session]) {
		const waiters = 5
		ctx := within(t, 3*time.Second)
		errs := make(chan error, waiters)
		for range waiters {
			go func() {
				_, _, err := o.Acquire(ctx)
				errs <- err
			}()
		}
		for range waiters {
			require.Error(t, <-errs)
		}
		attempts, _ := d.count()
		require.LessOrEqual(t, attempts, int(3*time.Second/device.DefaultTick)+1+waiters)
	})
}

// Whoever waits is woken when the device is back, even if its status reads as it did before.
func TestOwnerWakesWaitersThoughTheStatusIsTheSame(t *testing.T) {
	locked := &device.Error{Health: device.Locked, Err: errors.New(""), Retry: true}
	d := &driver{health: device.Locked, openErr: func(attempt int) error {
		if attempt == 2 {
			return locked
		}
		return nil
	}}
	run(t, d, func(t *testing.T, o *device.Owner[*session]) {
		_, release, err := o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		release(locked)
		s, release, err := o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		require.Equal(t, 2, s.id)
		release(nil)
	})
}

func TestOwnerProbesAnIdleDevice(t *testing.T) {
	d := &driver{}
	run(t, d, func(t *testing.T, o *device.Owner[*session]) {
		_, release, err := o.Acquire(within(t, time.Second))
		require.NoError(t, err)
		release(nil)
		changed := o.Changed()
		d.set(func(d *driver) { d.probeErr, d.openErr = errGone, func(int) error { return errGone } })
		<-changed
		st := o.Status()
		require.Equal(t, device.Absent, st.Health)
		require.Equal(t, "plug it in", st.Advice)
		require.Equal(t, time.Now(), st.Since)
		changed = o.Changed()
		d.set(func(d *driver) { d.probeErr, d.openErr = nil, nil })
		o.Poke() // as a hot-plug event does
		<-changed
		require.Equal(t, device.Ready, o.Status().Health)
		_, opened := d.count()
		require.Equal(t, 2, opened)
	})
}

// A plugged in device makes several events. Those that come while it is opened do not have it asked once more before
// it is lent.
func TestOwnerDoesNotProbeWhatItHasJustOpened(t *testing.T) {
	d := &driver{}
	var o *device.Owner[*session]
	d.openErr = func(int) error {
		o.Poke()
		return nil
	}
	probes := func() int {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.probes
	}
	synctest.Test(t, func(t *testing.T) {
		o = device.NewOwner("left", d, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			o.Run(ctx)
		}()
		synctest.Wait()
		require.Equal(t, device.Ready, o.Status().Health)
		require.Zero(t, probes())
		<-time.After(device.DefaultTick)
		synctest.Wait()
		require.Equal(t, 1, probes(), "the event may have been its unplugging")
		o.Poke()
		<-time.After(device.DefaultTick)
		synctest.Wait()
		require.Equal(t, 2, probes())
		cancel()
		<-done
	})
}

func TestOwnerEndsAfterItsLastUser(t *testing.T) {
	d := &driver{}
	synctest.Test(t, func(t *testing.T) {
		o := device.NewOwner("left", d, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			o.Run(ctx)
		}()
		s, release, err := o.Acquire(t.Context())
		require.NoError(t, err)
		cancel()
		synctest.Wait()
		require.Zero(t, s.closed, "the exchange under way is finished first")
		release(nil)
		<-done
		require.Equal(t, 1, s.closed)
		_, _, err = o.Acquire(within(t, time.Second))
		require.ErrorContains(t, err, "absent")
	})
}
