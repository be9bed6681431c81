package cmd

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/operate"
)

const activateLong = `Let this instance sign. "activate" is the single deliberate act by which an instance starts to
sign.

Be certain that no second machine signs with the same keys: two signers for one level and round are slashed.
Every key must have a watermark above all levels ever signed with the key; --level sets the marks of all keys in
the same step.`

func (a *app) activateCmd() *cobra.Command {
	var yes, far bool
	var level cli.LevelValue
	var why string
	c := &cobra.Command{
		Use: "activate", Short: "Let this instance sign", Long: activateLong, Args: cli.NoArgs,
		Example: "  highwater activate --level 8000010",
		RunE: func(c *cobra.Command, _ []string) error {
			req := operate.ActivateRequest{Why: why, Far: far}
			var err error
			if req.Level, err = a.LevelIf(c, "level", level); err != nil {
				return err
			}
			if err := a.Confirmable(yes); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false, func(cfg *config.Config, admin operate.Admin) error {
				return a.activate(c.Context(), cfg, admin, req, yes)
			})
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do not ask: I state that no second machine signs with the keys")
	c.Flags().Var(&level, "level",
		"raise every mark to `LEVEL` first, a number or head+N: nothing at or below LEVEL is signed")
	cli.FarFlag(c, &far)
	c.Flags().StringVar(&why, "why", "activated by the operator", "the reason, a `TEXT` kept with the role")
	return a.AddJSON(c)
}

func (a *app) activate(ctx context.Context, cfg *config.Config, admin operate.Admin, req operate.ActivateRequest,
	yes bool,
) error {
	st, err := admin.Status(ctx)
	if err != nil {
		return err
	}
	if st.Role.Role == hwm.Active {
		if req.Level != nil {
			return hints.Add(errors.New("the instance is active already: no mark was raised"),
				fmt.Sprintf("highwater hwm set --all --level %d", *req.Level))
		}
		return a.ShowRole(st.Role, "the instance was active already")
	}
	if req, err = a.checkActivation(ctx, admin, req, yes); err != nil { // before anybody is asked
		return err
	}
	if !yes {
		a.Note("This instance is on %s, epoch %d. Once active, the instance signs for:", st.Role.Role, st.Role.Epoch)
		if err = a.Aside().MarksTable(st.Marks); err != nil {
			return err
		}
		if req.Level != nil {
			a.Note("Every mark is raised to level %d first.", *req.Level)
		}
		if err = a.Confirm(yes, "No other machine signs with these keys, and none will?", "activate"); err != nil {
			return err
		}
	}
	role, err := admin.Activate(ctx, req)
	if err != nil {
		return err
	}
	if st.Running {
		a.WarnKeys(st) // without a daemon no device was opened
		return a.ShowRole(role, "signs as soon as a device is ready")
	}
	if err = a.ShowRole(role, "signs as soon as highwater serve runs"); err == nil && !a.AsJSON {
		a.adviseServe(cfg, st)
	}
	return err
}

// adviseServe names the steps after an activation without a daemon, with octez's command for each key.
func (a *app) adviseServe(cfg *config.Config, st operate.Status) {
	a.Note("next: highwater serve; then tell octez about each key, and see: highwater check")
	alias, told := "baker", map[string]bool{}
	for _, m := range st.Marks {
		pkh := m.PKH.String()
		if told[pkh] {
			continue
		}
		told[pkh] = true
		a.Note("  %s", cfg.OctezImport(alias, pkh))
		alias = fmt.Sprintf("baker-%d", len(told)+1)
	}
}

// checkActivation reports the gaps of an activation, and has a far level confirmed.
func (a *app) checkActivation(ctx context.Context, admin operate.Admin, req operate.ActivateRequest, yes bool) (
	operate.ActivateRequest, error,
) {
	var err error
	word := ""
	if req.Level != nil {
		word = fmt.Sprint(*req.Level)
	}
	req.Far, err = a.ConfirmFar(req.Far, yes, word, func(far bool) error {
		check := req
		check.DryRun, check.Far = true, far
		_, refused := admin.Activate(ctx, check)
		return refused
	})
	return req, err
}

func (a *app) standbyCmd() *cobra.Command {
	var why string
	c := &cobra.Command{
		Use: "standby", Short: "Stop signing; everything else stays warm", Args: cli.NoArgs,
		Long: "Stop signing: new requests are refused at once, requests under way end, then the role is durable.\n" +
			"A restart keeps the role; only \"highwater activate\" changes the role, and of a pair a handover or a takeover.\n" +
			"With a register the right is released, and the next ready machine takes the right.",
		Example: "  highwater standby --why 'moving to the other machine'",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.WithAdmin(c.Context(), false, func(_ *config.Config, admin operate.Admin) error {
				role, err := admin.Standby(c.Context(), operate.StandbyRequest{Why: why})
				if err != nil {
					return err
				}
				return a.ShowRole(role, "signs nothing")
			})
		},
	}
	c.Flags().StringVar(&why, "why", "put on standby by the operator", "the reason, a `TEXT` kept with the role")
	return a.AddJSON(c)
}
