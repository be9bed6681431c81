package daemon

import (
	"fmt"
	"os"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/early"
	"highwater/internal/tezos"
	"highwater/signer"
)

// earlySources are the numbers for early warnings, from the parts of the instance.
func (d *Daemon) earlySources() early.Sources {
	in := d.Instance
	from := early.Sources{
		Devices: in.earlyDevices, Holders: holders, Marks: in.earlyMarks, Certificates: d.certificateRows,
	}
	if in.octez != nil {
		from.Head = in.earlyHead
		from.Settled, from.Unheld = d.earlyRights().settled, in.unheld
	}
	if in.audit != nil {
		from.Audit = func() string { return in.audit.State().Fault }
	}
	if in.share == nil {
		from.Follow = in.earlyFollow
		return from
	}
	from.Silent = func() time.Duration { return time.Duration(in.share.desk.View().SilentMS) * time.Millisecond }
	return from
}

func (in *Instance) earlyHead() early.Head {
	if known := in.head(); known != nil && known.Node {
		return early.Head{Level: known.Level, At: known.At}
	}
	return early.Head{}
}

// tellEarly hands the end of a request to the watch.
func tellEarly(w *early.Watch, o signer.Outcome) {
	switch {
	case o.Decision == "signed":
		w.Signed(o.Device, o.Duration)
	case o.Reason == "timeout" || o.Reason == signer.SlowDisk:
		w.UsedUp(o.Level)
	}
}

func (in *Instance) earlyDevices() (out []early.Device) {
	for i, d := range in.Devices {
		st := d.Status()
		row := early.Device{Name: d.Name(), Health: st.Health, Since: st.Since}
		if c := in.Config.Devices[i]; c.Transport == config.TransportUSB {
			row.USB = c.Kind
		}
		out = append(out, row)
	}
	return out
}

// earlyMarks gives the highest mark of each key in service; none while the store is broken.
func (in *Instance) earlyMarks() (out []early.Mark) {
	rows, err := in.Store.Rows()
	if err != nil {
		return nil // the store tells of its own failure
	}
	highest := map[tezos.PublicKeyHash]int32{}
	for _, r := range rows {
		highest[r.PKH] = max(highest[r.PKH], r.Level)
	}
	for _, k := range in.Signer.Keys() {
		if level, ok := highest[k.PKH]; ok {
			out = append(out, early.Mark{Key: k.PKH.String(), Level: level})
		}
	}
	return out
}

// earlyFollow tells how a standby follows its peer.
func (in *Instance) earlyFollow() early.Follow {
	peer := in.node.View().Peer
	if peer == nil {
		return early.Follow{}
	}
	f := early.Follow{
		Wanted: in.Store.Role().Role == hwm.Standby && peer.Reachable && peer.Signing, Connected: peer.Following,
	}
	if peer.Behind != nil {
		f.Behind = *peer.Behind
	}
	return f
}

// holders are the other programs that have a device of a kind open.
func holders(kind string) (out []string) {
	found, err := LookAtBuses()
	if err != nil {
		return nil // the status of the device has the fault
	}
	me := fmt.Sprintf("(pid %d)", os.Getpid())
	for _, c := range found {
		for _, who := range c.Finding.Holders {
			if c.Kind == kind && !strings.Contains(who, me) {
				out = append(out, who)
			}
		}
	}
	return out
}
