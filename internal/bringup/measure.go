package bringup

import (
	"context"
	"fmt"
	"time"

	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/doctor"
	"highwater/internal/words"
	"highwater/operate"
)

// harmless is the longest time for a device's identity that needs no warning.
const harmless = 5 * time.Second

// Measure checks and times everything needed for a switch, and changes nothing.
func Measure(ctx context.Context, cfg *config.Config, admin operate.Admin) (Drill, error) {
	d := Drill{At: time.Now(), Lines: []checklist.Line{}}
	st, err := admin.Status(ctx)
	if err != nil {
		return d, err
	}
	median, _, err := doctor.MeasureSync(cfg.StateDir)
	disk := checklist.New(checklist.DiskSync, checklist.OK, milliseconds(median), "")
	switch {
	case err != nil:
		disk.Result, disk.Detail = checklist.Bad, err.Error()
	case median > doctor.SlowSync:
		disk.Result, disk.Hint = checklist.Warning, "a faster disk for "+cfg.StateDir
	}
	d.Lines = append(d.Lines, disk)
	for _, row := range st.Devices {
		d.Lines = append(d.Lines, measureDevice(ctx, admin, row))
	}
	for _, l := range doctor.Keys(st) {
		if l.Result != checklist.OK {
			d.Lines = append(d.Lines, l)
		}
	}
	if st.Register != nil {
		if err = measureShared(ctx, admin, &d, median, st); err != nil {
			return d, err
		}
	} else if st.Pair == nil || st.Pair.Peer == nil {
		d.Lines = append(d.Lines, checklist.New(
			checklist.OtherInstance, checklist.Warning, "no peer is named: the cost of a switch cannot be measured",
			wire.NamePeer))
	} else if err := measurePair(ctx, admin, &d, median, st.Role.Role == hwm.Active); err != nil {
		return d, err
	}
	d.Result = Worst(d.Lines)
	d.MaySign = MaySign(ctx, admin)
	return d, nil
}

// measureDevice times an exchange that signs nothing.
func measureDevice(ctx context.Context, admin operate.Admin, row operate.DeviceRow) checklist.Line {
	l := doctor.Device(row)
	if l.Result == checklist.Bad {
		return l
	}
	ctx, cancel := context.WithTimeout(ctx, harmless)
	defer cancel()
	start := time.Now()
	_, err := admin.DeviceCall(ctx, operate.DeviceCall{Device: row.Name, Verb: "info", Args: []byte("{}")},
		func(string) {})
	if err != nil {
		return checklist.Failed(l.ID, err).Named(l.Name)
	}
	l.Detail += ", answers in " + milliseconds(time.Since(start))
	return l
}

// measurePair checks the link, the followed marks, and the dry run on both sides.
func measurePair(ctx context.Context, admin operate.Admin, d *Drill, sync time.Duration, active bool) error {
	start := time.Now()
	plan, err := admin.Handover(ctx, failover.HandoverRequest{DryRun: true})
	took := time.Since(start)
	if err != nil {
		return err
	}
	v, err := admin.Pair(ctx)
	if err != nil {
		return err
	}
	if v.Peer != nil && v.Peer.Reachable {
		d.Lines = append(d.Lines, checklist.New(
			checklist.RoundTrip, checklist.OK,
			fmt.Sprintf("%.1f ms, to %s and with the handshake", v.Peer.RTTMS, v.Peer.Address), ""))
		if !active { // an active instance follows nobody
			d.Lines = append(d.Lines, followed(v.Peer))
		}
	}
	d.Lines = append(d.Lines, plan.Findings...)
	if plan.Refusal != nil {
		if Worst(d.Lines).Passed() { // a failed dry run is already among the findings
			d.Lines = append(d.Lines, checklist.New(checklist.DryRun, checklist.Bad, plan.Refusal.Text, plan.Refusal.Hint))
		}
		return nil
	}
	d.Lines = append(d.Lines, checklist.New(
		checklist.DryRun, checklist.OK, "both sides agree, in "+milliseconds(took), ""))
	if v.Peer != nil {
		estimate := 2*v.Peer.RTTMS + float64((2*sync).Microseconds())/1000
		d.Lines = append(d.Lines, checklist.New(
			checklist.Handover, checklist.OK,
			fmt.Sprintf("should take about %.1f ms: the link, and a sync on each side", estimate), ""))
	}
	return nil
}

func followed(p *failover.PeerView) checklist.Line {
	l := checklist.New(checklist.FollowedMarks, checklist.OK, "", "")
	switch {
	case !p.Following:
		l.Result, l.Detail = checklist.Warning, "not followed now: this instance signs, or the stream begins anew"
	case p.Behind == nil:
		l.Result, l.Detail = checklist.Warning, "some of the peer's marks are missing here"
	default:
		l.Detail = words.Count(*p.Behind, "level") + " behind"
		if p.FollowedAt != nil {
			l.Detail += ", heard " + milliseconds(time.Since(*p.FollowedAt)) + " ago"
		}
	}
	return l
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// Worst is the result of all lines together.
func Worst(lines []checklist.Line) checklist.Result {
	out := checklist.OK
	for _, l := range lines {
		switch {
		case !l.Result.Passed():
			return checklist.Bad
		case l.Result == checklist.Warning:
			out = checklist.Warning
		}
	}
	return out
}

// MaySign tells which instance may sign now, as far as this machine knows.
func MaySign(ctx context.Context, admin operate.Admin) string {
	st, err := admin.Status(ctx)
	if err == nil && st.Register != nil {
		return st.Register.MaySign
	}
	v, err := admin.Pair(ctx)
	if err != nil {
		return "not known from here: " + err.Error()
	}
	return v.MaySign
}

// Words is the drill in one line.
func (d Drill) Words() string {
	switch {
	case !d.Handover && d.Result.Passed():
		return "measured, nothing was changed"
	case !d.Handover:
		return "something stands in the way of a switch; nothing was changed"
	}
	text := "there"
	if d.ThereMS != nil {
		text += fmt.Sprintf(" in %.1f ms", *d.ThereMS)
	}
	text += fmt.Sprintf(", signed at %s", words.Count(len(d.Levels), "level"))
	if d.BackMS != nil {
		text += fmt.Sprintf(", back in %.1f ms", *d.BackMS)
	} else {
		text += ", and not back"
	}
	if d.Missed != nil {
		text += fmt.Sprintf("; %s missed", words.Count(len(d.Missed), "level"))
	}
	return text
}
