package daemon

import (
	"context"
	"errors"
	"time"

	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/signer"
	"highwater/store"
	"highwater/store/disk"
)

// trialEvery is the interval between trials of a failed disk, while the daemon stays for its peer.
const trialEvery = 10 * time.Second

// watchDisk ends the daemon after a failed commit: only a restart tells the disk's content. Hooks and log come first.
//
// Two daemons stay. A backup stays as long as its disk fails, since its peer may need an answer to sign again. A daemon
// with a replaced watermark file stays, since a restart would take the foreign file for its own.
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
	if errors.Is(err, disk.ErrReplaced) {
		return
	}
	if d.answersOnly() && !d.untilWritable(ctx) {
		return
	}
	end(err)
}

// answersOnly tells whether the instance has a peer, and does not sign.
func (in *Instance) answersOnly() bool {
	_, paired := in.Store.Peer()
	return paired && in.Store.Role().Role != hwm.Active
}

// untilWritable tries the disk until a write succeeds; false: ctx ended first.
func (d *Daemon) untilWritable(ctx context.Context) bool {
	d.log.Warn("nothing is signed; this instance stays for the peer's questions until the disk works")
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

// TryDisk makes a commit before anything is promised. A failed disk ends the start, except of an instance that can
// still answer its peer.
func (in *Instance) TryDisk() error {
	err := in.Store.Probe()
	if in.answersOnly() && store.Fails(err) {
		return nil
	}
	return err
}
