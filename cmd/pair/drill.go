package pair

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/bringup"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
)

const drillLong = `Measure the cost of a switch, on any machine of the pair or of the register, without switching: the
round trip, the disk, each device, and a handover's dry run. Of a pair also: how close the watermarks follow.

With --handover the drill is real, and runs on a machine without the right: the right to sign comes here, this
machine signs at some levels, and the right goes back to the former holder; each way at a good moment, like
"highwater handover". The drill prints how long nobody signed, each way, and the missed levels, where a node is
configured. After any failure on the way, at most one machine may sign, and the drill names the machine and the
next act.

With a register: the round trip is the register's, and the drill tells after how many levels a takeover without
a person begins.

The measurements are kept: highwater bring-up report.`

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
		Use: "drill", Short: "Measure the cost of a switch, or switch there and back", Long: drillLong, Args: cli.NoArgs,
		Example: "  highwater drill\n  highwater drill --handover --levels 3",
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case dry && f.handover:
				return terminal.Usagef("--dry-run or --handover, not both")
			case f.levels < 1 || f.levels > 100:
				return terminal.Usagef("--levels %d: the number lies between 1 and 100", f.levels)
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
	c.Flags().DurationVar(&f.wait, "wait", 2*time.Minute,
		"how long to wait for the signatures: a `TIME`; afterwards the right goes back in any case")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask")
	return a.AddJSON(c)
}

func (a *app) drill(ctx context.Context, f drillFlags) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	record, err := bringup.OpenRecord(cfg)
	if err != nil {
		return err
	}
	var d bringup.Drill
	err = a.WithAdmin(ctx, true, func(_ *config.Config, admin operate.Admin) error {
		if d, err = bringup.Measure(ctx, cfg, admin); err != nil || !f.handover {
			return err
		}
		return a.drillHandover(ctx, cfg, admin, record, f, &d)
	})
	if err != nil {
		return err
	}
	record.AddDrill(d)
	kept := bringup.SaveRecord(cfg, record)
	shown := a.showDrill(d) // the report is shown, error or not
	if kept != nil {
		return kept
	}
	return shown
}

func (a *app) showDrill(d bringup.Drill) error {
	if a.AsJSON {
		if err := a.JSON(d); err != nil {
			return err
		}
	} else {
		a.Checklist(d.Lines)
		a.Say("%s: %s", a.PaintResult(d.Result), d.Words())
		a.Say("may sign: %s", d.MaySign)
	}
	if !d.Result.Passed() {
		return cli.ErrSaid
	}
	return nil
}

// errSigns refuses a drill on the machine that signs.
var errSigns = errors.New("this machine signs already: a drill brings the right to sign to the backup")

// drillable tells whether the right can come here at all.
func drillable(st operate.Status) error {
	switch {
	case !st.Running:
		return hints.Add(errors.New("the two instances talk through their daemons"), "highwater serve")
	case st.Register != nil && st.Register.Mine:
		return hints.Add(errSigns, "on another machine: highwater drill --handover")
	case st.Register != nil && st.Register.Owner == hwm.InstanceID{}:
		return hints.Add(errors.New("no machine has the right to sign now: the drill brings the right from its owner"),
			"see: highwater status")
	case st.Register != nil:
		return nil
	case st.Pair == nil || st.Pair.Peer == nil:
		return hints.Add(errors.New("no peer is named"), wire.NamePeer)
	case st.Role.Role == hwm.Active || st.Role.Mine && st.Role.Epoch > 0:
		return hints.Add(errSigns, "on the peer: highwater drill --handover")
	}
	return nil
}
