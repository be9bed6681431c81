package daemon

import (
	"context"
	"errors"
	"time"

	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/signer"
	"highwater/store"
)

// trialEvery is how often a disk that failed is tried, while the daemon stays for the other instance.
const trialEvery = 10 * time.Second

// watchDisk ends the daemon after a failed commit: a restart alone tells what is on the disk. Hooks and log are told first.
//
// Two stay: an instance of a pair that does not sign, for as long as its disk fails, since the other one may need its answer to sign again;
// and one whose file was replaced, which a restart would take for its own.
func (d *Daemon) watchDisk(ctx context.Context, end func(error)) {
	select {
	case <-d.Store.Failed():
	case <-ctx.Done():
		return
	}
	err := d.Store.Healthy()
	d.Signer.RaiseAlarm(signer.AlarmDisk, "the disk", "", err.Error(), hints.Of(err))
	if nerr := notifySystemd("STATUS=" + err.Error()); nerr != nil {
		d.log.Warn("systemd not told", "error", nerr)
	}
	if errors.Is(err, store.ErrReplaced) {
		return
	}
	if d.answersOnly() && !d.untilWritable(ctx) {
		return
	}
	end(err)
}

// answersOnly tells whether this instance is one of a pair that does not sign.
func (in *Instance) answersOnly() bool {
	_, paired := in.Store.Peer()
	return paired && in.Store.Role().Role != hwm.Active
}

// untilWritable tries the disk until it takes a file again; false: ctx ended first.
func (d *Daemon) untilWritable(ctx context.Context) bool {
	d.log.Warn("this instance signs nothing, and stays for its peer's questions until the disk works")
	tick := time.NewTicker(d.TrialEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if err := store.Writable(d.Config.StateDir); err == nil {
			d.log.Info("the disk works again: ending, to be started anew")
			return true
		}
	}
}

// TryDisk makes a commit before anything is promised. A disk that fails ends the start, but for an instance that can still answer another one.
func (in *Instance) TryDisk() error {
	err := in.Store.Probe()
	if in.answersOnly() && store.Fails(err) {
		return nil
	}
	return err
}
