package pair

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/failover"
	"highwater/failover/wire"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
	"highwater/signer"
)

const takeoverLong = `Take the right to sign while the peer is gone. If the peer answers, use highwater handover
instead: no statement is needed.

A takeover rests on your statement that the peer cannot sign: its process is stopped or its devices are
unplugged, and neither comes back by itself. On the peer: systemctl disable --now highwater. (A killed daemon is
restarted by its unit, a merely stopped daemon at the next boot.) Only the flag --the-other-instance-cannot-sign
makes the statement; --yes does not. If the statement is false, both sign, and you are slashed.

The rest is evidence: the peer does not answer, the node is in step, your keys were silent on chain. Watermarks
rise to three levels above the chain's head at the time of your statement, if your node had a fresh head and
three silent levels were seen; else to ten levels above everything known. --margin chooses the number.

The checklist is shown, and kept up to date, until nothing stands in the way; with --check once. Afterwards the
devices' own marks are raised (a Ledger's by you: the command and its screens are shown), and the command waits
for the first signature.

With a register no statement is needed: the right begins above the owner's horizon, and the owner cannot move
the horizon any more. A standby does the same by itself, unless [register] automatic is off.

Exit status 0: taken over; with --check: nothing stands in the way. 1: a line stands in the way, or the time ran
out: nothing was changed.`

type takeoverFlags struct {
	r      failover.TakeoverRequest
	head   cli.LevelValue
	margin int32
	yes    bool
	noWait bool
	wait   time.Duration
}

func (a *app) takeoverCmd() *cobra.Command {
	var f takeoverFlags
	c := &cobra.Command{
		Use: "takeover", Short: "Take the right to sign while the peer is gone", Long: takeoverLong, Args: cli.NoArgs,
		Example: "  highwater takeover --check --json\n  highwater takeover --the-other-instance-cannot-sign --silence 3",
		RunE: func(c *cobra.Command, _ []string) error {
			var err error
			if f.r.Head, err = a.LevelIf(c, "head", f.head); err != nil {
				return err
			}
			if f.r.Silence < 0 || f.r.Silence > chain.MaxSilence {
				return terminal.Usagef("--silence %d: between 0 and %d", f.r.Silence, chain.MaxSilence)
			}
			if c.Flags().Changed("margin") {
				if f.margin < failover.MinMargin || f.margin > failover.MaxMargin {
					return terminal.Usagef("--margin %d: between %d and %d", f.margin, failover.MinMargin, failover.MaxMargin)
				}
				f.r.Margin = &f.margin
			}
			if f.wait < 0 {
				return terminal.Usagef("--wait %s is negative", f.wait)
			}
			// Without the statement, the daemon refuses with its reason.
			if err = a.Confirmable(f.yes || f.r.Check || !f.r.CannotSign); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false,
				func(_ *config.Config, admin operate.Admin) error { return a.takeover(c.Context(), admin, &f) })
		},
	}
	c.Flags().BoolVar(&f.r.Check, "check", false, "show the checklist once, and change nothing")
	c.Flags().BoolVar(&f.r.CannotSign, "the-other-instance-cannot-sign", false,
		"I state: the peer is stopped, or its devices are unplugged")
	c.Flags().BoolVar(&f.r.CertificateDestroyed, "the-certificate-is-destroyed", false,
		"I state: the file with the released right is destroyed")
	c.Flags().IntVar(&f.r.Silence, "silence", 3,
		"wait for `N` levels with rights of our keys, and without their operations")
	c.Flags().Var(&f.head, "head", "`LEVEL` of the chain's head, for an instance without a node")
	c.Flags().BoolVar(&f.r.Far, "far", false,
		fmt.Sprintf("the --head is right, although more than %d levels above the highest known level", hwm.FarLevels))
	c.Flags().Int32Var(&f.margin, "margin", 0,
		"sign nothing up to `LEVELS` above all known levels (default: by the evidence)")
	c.Flags().StringVar(&f.r.Why, "why", "", "the reason, a `TEXT` kept with the role")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask (makes no statement)")
	c.Flags().DurationVar(&f.wait, "wait", 2*time.Minute,
		"the `TIME` to wait for the evidence, and again for the first signature")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "do not wait for the first signature")
	return a.AddJSON(c)
}

// takeoverReport is the JSON output of takeover.
type takeoverReport struct {
	operate.TakeoverAnswer
	Devices []signer.DeviceMarks `json:"devices,omitempty"` // own marks of the devices, after the takeover
	// FirstSignatureMS is the time from the command to the first signature, in ms. Null: not awaited, or not in time.
	FirstSignatureMS *int64 `json:"first_signature_ms,omitempty"`
}

func (a *app) takeover(ctx context.Context, admin operate.Admin, f *takeoverFlags) error {
	start := time.Now()
	check := f.r
	check.Check = true
	wait := f.wait
	if f.r.Check {
		wait = 0
	}
	t, err := a.watchEvidence(ctx, admin, check, wait)
	if err != nil {
		return err
	}
	if f.r.Check {
		return a.showTakeover(takeoverReport{TakeoverAnswer: t})
	}
	if !f.yes && t.Ready { // the daemon refuses, in its own words
		aside := a.Aside()
		aside.Checklist(t.Findings)
		aside.Say("floor: %d (%s)", t.Floor, t.Reason)
		if err = a.Confirm(f.yes, "Take the right to sign?", "takeover"); err != nil {
			return err
		}
	}
	seen := t.Ready
	step, stop := toItsEnd(ctx)
	defer stop()
	if t, err = admin.Takeover(step, f.r); err != nil {
		return err
	}
	// A signature from before may come on chain between the check and the step. The wait then goes on.
	for end := time.Now().Add(f.wait); seen && !t.Done && waitsForTime(t, f.r) && time.Now().Before(end); {
		if _, err = a.watchEvidence(ctx, admin, check, time.Until(end)); err != nil {
			return err
		}
		if t, err = admin.Takeover(step, f.r); err != nil {
			return err
		}
	}
	report := takeoverReport{TakeoverAnswer: t}
	if !t.Done {
		return a.showTakeover(report)
	}
	if !a.AsJSON {
		if err = a.showTakeover(report); err != nil {
			return err
		}
	}
	if err = a.afterTakeover(ctx, admin, f, start, &report); err != nil || !a.AsJSON {
		return err
	}
	return a.showTakeover(report)
}

// watchEvidence looks until time can bring nothing more, for at most the given time, and at least once.
func (a *app) watchEvidence(
	ctx context.Context, admin operate.Admin, check failover.TakeoverRequest, patience time.Duration,
) (operate.TakeoverAnswer, error) {
	var t operate.TakeoverAnswer
	_, err := a.await(ctx, patience, func(time.Duration) (bool, []checklist.Line, error) {
		var err error
		t, err = admin.Takeover(ctx, check)
		return !waitsForTime(t, check), t.Findings, err
	})
	return t, err
}

// waitsForTime tells whether waiting may help. A missing statement comes from no wait. A refusal caused by the findings
// is one more look; every other refusal is final.
func waitsForTime(t operate.TakeoverAnswer, r failover.TakeoverRequest) bool {
	if t.Ready || !r.CannotSign || (t.Refusal != nil && t.Refusal.Reason != wire.NotReady) {
		return false
	}
	for _, f := range t.Findings {
		if !f.Result.Passed() && !f.MayPass {
			return false
		}
	}
	return true
}

func (a *app) showTakeover(t takeoverReport) error {
	if a.AsJSON {
		if t.Findings == nil {
			t.Findings = []checklist.Line{}
		}
		if err := a.JSON(t); err != nil {
			return err
		}
	} else {
		a.Checklist(t.Findings)
		if t.Reason != "" { // an immediate refusal has no findings
			a.Say("floor: %d (%s)", t.Floor, t.Reason)
		}
	}
	switch {
	case t.Refusal != nil && !a.AsJSON:
		return refused(t.Refusal)
	case t.Refusal != nil, !t.Ready && !t.Done:
		return cli.ErrSaid
	case t.Done && !a.AsJSON:
		a.Say("%s: this instance signs above level %d, epoch %d", a.Paint(terminal.Green, "taken over"), t.Floor, t.Epoch)
	}
	return nil
}

// afterTakeover raises the devices' own marks, and waits for the first signature. The right is taken: errors are
// reported, and undo nothing.
func (a *app) afterTakeover(ctx context.Context, admin operate.Admin, f *takeoverFlags, start time.Time,
	report *takeoverReport,
) error {
	done := time.Now()
	list := a.NewLive()
	if !a.AsJSON {
		list.Show([]checklist.Line{checklist.New(
			checklist.DeviceMarks, checklist.Waiting, "compared with the floor, and raised", "")}, "")
	}
	devices, err := admin.RaiseDevices(ctx)
	list.End()
	if err != nil {
		return hints.Add(fmt.Errorf("the right is taken, and the devices' own marks were not compared: %w", err),
			"each device's marks are raised at its next connection; the host's marks protect in any case")
	}
	report.Devices = devices
	if !a.AsJSON {
		a.Checklist(markFindings(devices))
	}
	if f.noWait {
		return nil
	}
	at, err := a.firstSignature(ctx, admin, f.wait, done)
	switch {
	case err != nil:
		return err
	case at == nil && !a.AsJSON && ctx.Err() == nil:
		a.Note("no signature within %s: does a baker ask here, and is the chain above level %d?", f.wait, report.Floor)
	case at != nil:
		ms := at.Sub(start).Milliseconds()
		report.FirstSignatureMS = &ms
		if !a.AsJSON {
			a.Say("%s: after %.1f s, %.1f s after the takeover", a.Paint(terminal.Green, "first signature"),
				at.Sub(start).Seconds(), at.Sub(done).Seconds())
		}
	}
	return nil
}

// signatureEvery is the time between two looks at the marks, and so the precision of FirstSignatureMS.
const signatureEvery = 100 * time.Millisecond

// firstSignature waits until a mark shows a signature made here since then. Nil: none in time, or the wait was
// cancelled.
func (a *app) firstSignature(ctx context.Context, admin operate.Admin, patience time.Duration, since time.Time) (
	*time.Time, error,
) {
	deadline := time.Now().Add(patience)
	list := a.NewLive()
	defer list.End()
	for first := true; ; first = false {
		marks, err := admin.Marks(ctx)
		if ctx.Err() != nil {
			return nil, nil //nolint:nilnil // after Ctrl-C, the right stays taken
		}
		if err != nil {
			return nil, err
		}
		now := time.Now()
		for _, m := range marks {
			if !m.Signed || m.Source != hwm.SourceSigned.String() || m.UpdatedAt == nil ||
				m.UpdatedAt.Before(since.Truncate(time.Millisecond)) {
				continue
			}
			if first { // the signature came during the look at the devices: only the mark's time is known
				return m.UpdatedAt, nil
			}
			return &now, nil
		}
		left := deadline.Sub(now)
		if left <= 0 {
			return nil, nil //nolint:nilnil // none came, and nothing failed
		}
		if !a.AsJSON {
			list.Show([]checklist.Line{checklist.New(
				checklist.FirstSignature, checklist.Waiting, "of a baker's request here", "")},
				fmt.Sprintf("waiting, for %s at most; Ctrl-C ends the waiting only", left.Round(time.Second)))
		}
		select {
		case <-time.After(min(signatureEvery, left)):
		case <-ctx.Done():
		}
	}
}

// markFindings are the devices' own marks as lines of a checklist.
func markFindings(devices []signer.DeviceMarks) []checklist.Line {
	var out []checklist.Line
	for _, d := range devices {
		name := "marks of " + d.Device
		if d.Problem != "" {
			out = append(out, checklist.New(
				checklist.DeviceMarks, checklist.Warning, "not compared: "+d.Problem, d.Advice).Named(name))
		}
		for _, k := range d.Keys {
			out = append(out, markFinding(name, k))
		}
	}
	return out
}

func markFinding(name string, k device.Standing) checklist.Line {
	f := checklist.Good(checklist.DeviceMarks, "%s: at level %d", shorter(k.PKH.String()), k.Level).Named(name)
	switch {
	case k.Level < 0 && k.Why == "":
		f.Detail = fmt.Sprintf("%s: the device shows no mark", shorter(k.PKH.String()))
	case k.Raised:
		f.Detail = fmt.Sprintf("%s: raised to level %d", shorter(k.PKH.String()), k.Level)
	case k.Why != "":
		f.Result = checklist.Warning
		f.Detail = fmt.Sprintf("%s: %s", shorter(k.PKH.String()), k.Why)
		if k.Level >= 0 && k.Allowed >= 0 {
			f.Detail = fmt.Sprintf("%s: at level %d, and could be at %d: %s", shorter(k.PKH.String()), k.Level, k.Allowed, k.Why)
		}
		f.Hint = k.Command
		if len(k.Screen) > 0 {
			f.Hint += "; on the screen: " + strings.Join(k.Screen, " → ") + ": press both buttons at Accept"
		}
	}
	return f
}

// shorter cuts an address to the width of a column.
func shorter(pkh string) string { return pkh[:min(len(pkh), 10)] + "…" }
