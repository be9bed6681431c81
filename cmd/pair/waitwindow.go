package pair

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/failover/moment"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
)

const waitWindowLong = `Wait for a good moment for a pause of signing, or for a handover: none of the next blocks is
yours (as a baker of round 0 or 1), the head is attested, the node is in step, and the peer is ready to sign. A
ready peer answers, its node has caught up, its devices hold the same keys, and its watermarks follow.

With a register there is no peer to look at. Instead the register must answer, and the machine here must be
ready for the right, or have the right.

For a baker with too frequent blocks the command waits for the longest gap that begins before the time runs out.
Without a node in the configuration the next bakers are unknown: the command reports the lack, and looks at the
rest.

Exit status 0: the moment is good, now. 1: the time ran out, or a fault does not pass by itself.`

// windowFlags describe the wanted moment.
type windowFlags struct {
	blocks  int
	quiet   time.Duration
	timeout time.Duration
	alone   bool
}

func (f *windowFlags) flags(c *cobra.Command, timeout time.Duration) {
	c.Flags().IntVar(&f.blocks, "blocks", moment.DefaultQuiet,
		"wait until none of the next `N` levels brings a block of yours")
	c.Flags().DurationVar(&f.timeout, "timeout", timeout, "how long to wait for the moment: a `TIME`, as 90s or 10m")
}

func (f *windowFlags) check() error {
	if f.quiet < 0 || f.timeout < 0 {
		return terminal.Usagef("a time is not negative")
	}
	if f.quiet > 0 {
		f.blocks = int((f.quiet + moment.BlockTime - 1) / moment.BlockTime)
	}
	if f.blocks < 1 || f.blocks > moment.MaxQuiet {
		return terminal.Usagef("between 1 and %d blocks can be waited for (%s)", moment.MaxQuiet,
			moment.MaxQuiet*moment.BlockTime)
	}
	if longest := moment.MaxWithin * moment.BlockTime; f.timeout > longest {
		return terminal.Usagef("--timeout %s: at most %s", f.timeout, longest)
	}
	return nil
}

// window is the wanted moment within the time left.
func (f *windowFlags) window(left time.Duration) moment.Window {
	return moment.Window{Blocks: f.blocks, Within: int(max(left, 0) / moment.BlockTime), Alone: f.alone}
}

func (a *app) waitWindowCmd() *cobra.Command {
	var f windowFlags
	var check bool
	c := &cobra.Command{
		Use: "wait-window", Short: "Wait for a good moment for a pause of signing", Long: waitWindowLong, Args: cli.NoArgs,
		Example: "  highwater wait-window --check\n  highwater wait-window && highwater handover --now --yes",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false,
				func(_ *config.Config, admin operate.Admin) error { return a.waitWindow(c.Context(), admin, &f, check) })
		},
	}
	f.flags(c, 10*time.Minute)
	c.Flags().DurationVar(&f.quiet, "quiet", 0,
		"instead of --blocks: a `TIME` without a block of yours, as 30s, at mainnet's 6 s a level")
	c.Flags().BoolVar(&f.alone, "alone", false,
		"do not look at the peer, or at the register: for a pause without a handover, as a restart")
	c.Flags().BoolVar(&check, "check", false, "look once, and do not wait")
	return a.AddJSON(c)
}

func (a *app) waitWindow(ctx context.Context, admin operate.Admin, f *windowFlags, check bool) error {
	var m moment.Moment
	good, err := a.await(ctx, f.timeout, func(left time.Duration) (bool, []checklist.Line, error) {
		var err error
		m, err = admin.Moment(ctx, f.window(left))
		return m.Good || check, m.Findings, err
	})
	if err != nil {
		return err
	}
	if a.AsJSON {
		if err := a.JSON(m); err != nil {
			return err
		}
		if !m.Good {
			return cli.ErrSaid
		}
		return nil
	}
	a.Checklist(m.Findings)
	switch f := m.Finding(); {
	case m.Good:
		a.Say("%s: the moment is now", a.Paint(terminal.Green, "good"))
		return nil
	case good:
		return hints.Add(fmt.Errorf("now is no good moment: %s", f.Detail),
			"wait for a good moment: highwater wait-window, without --check")
	default:
		return noMoment(f.Detail)
	}
}

func noMoment(detail string) error {
	return hints.Add(fmt.Errorf("no good moment came in time: %s", detail),
		"--timeout gives more time, --blocks asks for less")
}

// Times between two looks: attestations pass within moments, all other findings last longer.
const (
	lookEvery = time.Second
	lookSoon  = 250 * time.Millisecond
)

func pause(findings []checklist.Line) time.Duration {
	soon := false
	for _, f := range findings {
		if !f.Result.Passed() {
			if f.ID != checklist.Attestations && f.ID != checklist.Silence { // a new block ends these findings
				return lookEvery
			}
			soon = true
		}
	}
	if soon {
		return lookSoon
	}
	return lookEvery
}

// await looks until done or out of time, and shows the awaited finding.
func (a *app) await(
	ctx context.Context, patience time.Duration,
	look func(left time.Duration) (done bool, findings []checklist.Line, err error),
) (bool, error) {
	deadline := time.Now().Add(patience)
	list := a.NewLive()
	defer list.End()
	for {
		left := time.Until(deadline)
		done, findings, err := look(left)
		if err != nil || done || left <= 0 {
			return done, err
		}
		if !a.AsJSON {
			list.Show(findings, fmt.Sprintf("waiting, for %s at most; Ctrl-C ends the wait", left.Round(time.Second)))
		}
		select {
		case <-time.After(min(pause(findings), left)):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}
