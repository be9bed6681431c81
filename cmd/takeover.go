package cmd

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"highwater/api"
	"highwater/failover"
)

const takeoverLong = `Take the right to sign while the other instance is gone. It rests on your statement that the other instance cannot
sign: its process is stopped or its devices are unplugged, and neither comes back by itself. The flag
--the-other-instance-cannot-sign makes that statement; nothing else does, --yes least of all. If it is not true, both sign, and
you are slashed.

The rest is evidence: the other instance does not answer, the node is in step, your keys were silent on chain. Watermarks are
raised above everything that is known, by ten levels. If the other instance answers, use highwater handover: it needs no
statement.

The checklist is shown until nothing stands in the way; with --check once, with exit status 1 when something does.`

type takeoverFlags struct {
	r    failover.TakeoverRequest
	head int64
	yes  bool
	wait time.Duration
}

func (a *app) takeoverCmd() *cobra.Command {
	var f takeoverFlags
	c := &cobra.Command{
		Use: "takeover", Short: "Take the right to sign while the other instance is gone", Long: takeoverLong, Args: noArgs,
		Example: "  highwater takeover --check\n  highwater takeover --the-other-instance-cannot-sign --silence 3",
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("head") {
				level, err := levelFlag("head", f.head)
				if err != nil {
					return err
				}
				f.r.Head = &level
			}
			if f.r.Silence < 0 {
				return usagef("--silence %d is negative", f.r.Silence)
			}
			return a.withAdmin(c.Context(), false, func(_ *config, admin api.Admin) error { return a.takeover(c.Context(), admin, f) })
		},
	}
	c.Flags().BoolVar(&f.r.Check, "check", false, "only show the checklist")
	c.Flags().BoolVar(&f.r.CannotSign, "the-other-instance-cannot-sign", false, "I state: it is stopped or its devices are unplugged")
	c.Flags().BoolVar(&f.r.CertificateDestroyed, "the-certificate-is-destroyed", false, "I state: what was released to a file is destroyed")
	c.Flags().IntVar(&f.r.Silence, "silence", 3, "wait for `N` levels at which our keys had rights and were not seen")
	c.Flags().Int64Var(&f.head, "head", 0, "where the chain is: `LEVEL`, for an instance without a node")
	c.Flags().StringVar(&f.r.Why, "why", "", "the reason, kept with the role")
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask (this is not the statement)")
	c.Flags().DurationVar(&f.wait, "wait", 2*time.Minute, "how long to wait for the evidence")
	return a.addJSON(c)
}

func (a *app) takeover(ctx context.Context, admin api.Admin, f takeoverFlags) error {
	check := f.r
	check.Check = true
	t, err := a.watchEvidence(ctx, admin, check, f)
	if err != nil {
		return err
	}
	if f.r.Check {
		return a.showTakeover(t)
	}
	if !f.yes && t.Ready { // what is not ready is refused by the daemon, in its words
		a.showChecklist(t.Findings)
		a.say("floor: %d (%s)", t.Floor, t.Reason)
		if err = a.confirm("Take the right to sign?", "takeover"); err != nil {
			return err
		}
	}
	if t, err = admin.Takeover(ctx, f.r); err != nil {
		return err
	}
	return a.showTakeover(t)
}

// watchEvidence looks until only time was missing, and it has passed.
func (a *app) watchEvidence(ctx context.Context, admin api.Admin, check failover.TakeoverRequest, f takeoverFlags) (api.TakeoverAnswer, error) {
	until := time.NewTimer(f.wait)
	defer until.Stop()
	shown := ""
	for {
		t, err := admin.Takeover(ctx, check)
		if err != nil || f.r.Check || !waitsForTime(t, f.r) {
			return t, err
		}
		if text := fmt.Sprint(t.Findings); text != shown && !a.jsonFlag {
			shown = text
			a.showChecklist(t.Findings)
			a.note("waiting …")
		}
		select {
		case <-time.After(time.Second):
		case <-until.C:
			return t, nil
		case <-ctx.Done():
			return t, ctx.Err()
		}
	}
}

// waitsForTime tells whether waiting may help: a statement is not made by waiting.
func waitsForTime(t api.TakeoverAnswer, r failover.TakeoverRequest) bool {
	if t.Ready || !r.CannotSign {
		return false
	}
	for _, f := range t.Findings {
		if f.Result == failover.Bad || f.Result == failover.Waiting && f.Name != "silence" {
			return false
		}
	}
	return true
}

func (a *app) showTakeover(t api.TakeoverAnswer) error {
	if a.jsonFlag {
		if err := a.json(t); err != nil {
			return err
		}
	} else {
		a.showChecklist(t.Findings)
		a.say("floor: %d (%s)", t.Floor, t.Reason)
	}
	switch {
	case t.Refusal != nil && !a.jsonFlag:
		return refused(t.Refusal)
	case t.Refusal != nil, !t.Ready && !t.Done:
		return errSaid
	case t.Done && !a.jsonFlag:
		a.say("%s: this instance signs above level %d, epoch %d", a.paint(green, "taken over"), t.Floor, t.Epoch)
	}
	return nil
}
