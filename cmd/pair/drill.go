package pair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/failover"
	"highwater/hwm"
	"highwater/internal/bringup"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/doctor"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
)

const drillLong = `Measure what a switch to the other machine would take, on either of the two, without switching: the round trip, how close
the watermarks follow, the disk, each device, and a handover's dry run on both sides.

With --handover it is the real thing, run on the machine that does not sign: the right to sign comes here, this machine signs at
some levels, and the right goes back; each way at a good moment, as "highwater handover" waits for it. It prints how long nobody
signed, each way, and which levels were missed, where a node is configured. Whatever fails on the way, at most one machine may
sign, and it says which and what to do.

What was measured is kept: highwater bring-up report.`

type drillFlags struct {
	windowFlags
	handover, yes, now bool
	levels             int
	wait               time.Duration
}

func (a *app) drillCmd() *cobra.Command {
	var f drillFlags
	var dry bool
	c := &cobra.Command{
		Use: "drill", Short: "Measure what a switch would take, or make one, there and back", Long: drillLong, Args: cli.NoArgs,
		Example: "  highwater drill\n  highwater drill --handover --levels 3",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case dry && f.handover:
				return terminal.Usagef("--dry-run or --handover, not both")
			case f.levels < 1 || f.levels > 100:
				return terminal.Usagef("--levels %d: it lies between 1 and 100", f.levels)
			case f.wait <= 0:
				return terminal.Usagef("--wait %s is no time", f.wait)
			}
			if err := f.check(); err != nil {
				return err
			}
			if err := a.Confirmable(f.yes || !f.handover); err != nil {
				return err
			}
			return a.drill(c.Context(), f)
		},
	}
	f.flags(c, 5*time.Minute)
	c.Flags().BoolVar(&f.now, "now", false, "do not wait for a good moment")
	c.Flags().BoolVar(&dry, "dry-run", false, "only measure, as without --handover")
	c.Flags().BoolVar(&f.handover, "handover", false, "hand over to this machine, sign here, and hand back")
	c.Flags().IntVar(&f.levels, "levels", 2, "sign here at `N` levels before the right goes back")
	c.Flags().DurationVar(&f.wait, "wait", 2*time.Minute, "how long to wait for those signatures; then the right goes back all the same")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return a.AddJSON(c)
}

func (a *app) drill(ctx context.Context, f drillFlags) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	record, err := openRecord(cfg)
	if err != nil {
		return err
	}
	var d bringup.Drill
	err = a.WithAdmin(ctx, true, func(_ *config.Config, admin operate.Admin) error {
		if d, err = measure(ctx, cfg, admin); err != nil || !f.handover {
			return err
		}
		return a.drillHandover(ctx, cfg, admin, record, f, &d)
	})
	if err != nil {
		return err
	}
	record.AddDrill(d)
	kept := saveRecord(cfg, record)
	shown := a.showDrill(d) // what happened is said in any case
	if kept != nil {
		return kept
	}
	return shown
}

// harmless is how long a device may take to say who it is.
const harmless = 5 * time.Second

// measure looks at everything that a switch needs, and how long it takes. It changes nothing.
func measure(ctx context.Context, cfg *config.Config, admin operate.Admin) (bringup.Drill, error) {
	d := bringup.Drill{At: time.Now(), Lines: []checklist.Line{}}
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
	if st.Pair == nil || st.Pair.Peer == nil {
		d.Lines = append(d.Lines, checklist.New(checklist.OtherInstance, checklist.Warning, "none is named: what a switch takes cannot be measured", "highwater peer add ADDRESS KEY"))
	} else if err := measurePair(ctx, admin, &d, median, st.Role.Role == hwm.Active); err != nil {
		return d, err
	}
	d.Result = worst(d.Lines)
	d.MaySign = maySign(ctx, admin)
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
	_, err := admin.DeviceCall(ctx, operate.DeviceCall{Device: row.Name, Verb: "info", Args: []byte("{}")}, func(string) {})
	if err != nil {
		return checklist.Failed(l.ID, err).Named(l.Name)
	}
	l.Detail += ", answers in " + milliseconds(time.Since(start))
	return l
}

// measurePair is the link, the marks that follow, and the dry run on both sides.
func measurePair(ctx context.Context, admin operate.Admin, d *bringup.Drill, sync time.Duration, active bool) error {
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
		d.Lines = append(d.Lines, checklist.New(checklist.RoundTrip, checklist.OK, fmt.Sprintf("%.1f ms, to %s and with the handshake", v.Peer.RTTMS, v.Peer.Address), ""))
		if !active { // one that signs follows nobody
			d.Lines = append(d.Lines, followed(v.Peer))
		}
	}
	d.Lines = append(d.Lines, plan.Findings...)
	if plan.Refusal != nil {
		if worst(d.Lines).Passed() { // it is among the findings otherwise
			d.Lines = append(d.Lines, checklist.New(checklist.DryRun, checklist.Bad, plan.Refusal.Text, plan.Refusal.Hint))
		}
		return nil
	}
	d.Lines = append(d.Lines, checklist.New(checklist.DryRun, checklist.OK, "both sides agree, in "+milliseconds(took), ""))
	if v.Peer != nil {
		estimate := 2*v.Peer.RTTMS + float64((2*sync).Microseconds())/1000
		d.Lines = append(d.Lines, checklist.New(checklist.Handover, checklist.OK, fmt.Sprintf("should take about %.1f ms: the link, and a sync on each side", estimate), ""))
	}
	return nil
}

func followed(p *failover.PeerView) checklist.Line {
	l := checklist.New(checklist.FollowedMarks, checklist.OK, "", "")
	switch {
	case !p.Following:
		l.Result, l.Detail = checklist.Warning, "they are not followed now: this instance signs, or the stream begins anew"
	case p.Behind == nil:
		l.Result, l.Detail = checklist.Warning, "the other instance has some that are not here"
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

// worst is the result of all lines together.
func worst(lines []checklist.Line) checklist.Result {
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

func maySign(ctx context.Context, admin operate.Admin) string {
	v, err := admin.Pair(ctx)
	if err != nil {
		return "not known from here: " + err.Error()
	}
	return v.MaySign
}

func (a *app) showDrill(d bringup.Drill) error {
	if a.AsJSON {
		if err := a.JSON(d); err != nil {
			return err
		}
	} else {
		a.Checklist(d.Lines)
		a.Say("%s: %s", a.PaintResult(d.Result), drillWords(d))
		a.Say("may sign: %s", d.MaySign)
	}
	if !d.Result.Passed() {
		return cli.ErrSaid
	}
	return nil
}

// drillWords is a drill in one line.
func drillWords(d bringup.Drill) string {
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

// errSigns is returned for a drill on the machine that signs.
var errSigns = errors.New("this machine signs already: a drill brings the right to sign to the one that does not")

// drillable tells whether the right can come here at all.
func drillable(st operate.Status) error {
	switch {
	case !st.Running:
		return hints.Add(errors.New("the two instances talk through their daemons"), "highwater serve")
	case st.Pair == nil || st.Pair.Peer == nil:
		return hints.Add(errors.New("no other instance is named"), "highwater peer add ADDRESS KEY")
	case st.Role.Role == hwm.Active || st.Role.Mine && st.Role.Epoch > 0:
		return hints.Add(errSigns, "on the other machine: highwater drill --handover")
	}
	return nil
}
