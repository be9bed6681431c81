package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// notifyPatience bounds the wait for a service manager that reads nothing.
const notifyPatience = time.Second

// errNotHeard is returned when the service manager did not take a message in time.
var errNotHeard = errors.New("the service manager takes no messages")

// notifySystemd tells the service manager, if any (sd_notify(3)).
func notifySystemd(state string) error {
	told := make(chan error, 1)
	go func() {
		_, err := daemon.SdNotify(false, state)
		told <- err
	}()
	select {
	case err := <-told:
		return err
	case <-time.After(notifyPatience):
		return errNotHeard
	}
}

// watchdog tells the service manager that the process works, until ctx ends: each time after a probe of all that a
// signature needs. A process whose commits or locks hang says nothing, and is started anew (WatchdogSec of the unit).
func (d *Daemon) watchdog(ctx context.Context) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil || every == 0 {
		return
	}
	watch(ctx, every/4, d.alive, func() {
		if err := notifySystemd(daemon.SdNotifyWatchdog); err != nil {
			d.log.Warn("systemd not told", "error", err)
		}
	})
}

// watch calls alive again and again, and tell after each call that came back.
func watch(ctx context.Context, every time.Duration, alive, tell func()) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		came := make(chan struct{})
		go func() { defer close(came); alive() }()
		select {
		case <-came:
			tell()
		case <-ctx.Done():
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// alive comes back once a commit went through the commit loop, and the locks of the signer were free. A disk that fails
// is an answer, too: the process says so, and ends itself.
func (d *Daemon) alive() {
	_ = d.Store.Probe()
	d.Signer.KeysHealth()
	_ = d.Signer.Active()
}
