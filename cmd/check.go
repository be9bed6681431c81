package cmd

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/doctor"
	"highwater/internal/terminal"
)

const checkLong = `Look at everything that signing needs, and change nothing: configuration, permissions, listeners
and certificates, the state directory and its disk, USB buses and devices, each key and its device, the node,
the clocks, the role, the guard, and each member of the register with its record.

Exit status 1 when something is wrong; each finding comes with its advice.`

func (a *app) checkCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "check", Short: "Check configuration, permissions, devices, disk and clock; change nothing", Long: checkLong,
		Args:    cli.NoArgs,
		Example: "  highwater check --config /etc/highwater/highwater.toml",
		RunE:    func(c *cobra.Command, _ []string) error { return a.check(c.Context()) },
	})
}

func (a *app) check(ctx context.Context) error {
	findings := a.findings(ctx)
	if a.AsJSON {
		if err := a.JSON(findings); err != nil {
			return err
		}
	} else if err := a.showFindings(findings); err != nil {
		return err
	}
	if slices.ContainsFunc(findings, func(f checklist.Line) bool { return f.Result == checklist.Bad }) {
		return cli.ErrSaid
	}
	return nil
}

func (a *app) findings(ctx context.Context) []checklist.Line {
	cfg, err := a.Config()
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.Configuration, err)}
	}
	return append(doctor.Machine(ctx, cfg), a.instanceFindings(ctx, cfg)...)
}

// instanceFindings asks the daemon, or opens the store and the devices.
func (a *app) instanceFindings(ctx context.Context, cfg *config.Config) []checklist.Line {
	admin, done, err := a.Admin(ctx, cfg, true)
	if err != nil {
		return []checklist.Line{checklist.Failed(checklist.WatermarkFile, err)}
	}
	st, err := admin.Status(ctx)
	if err = errors.Join(err, done()); err != nil {
		return []checklist.Line{checklist.Failed(checklist.WatermarkFile, err)}
	}
	return append(doctor.Instance(cfg, st), doctor.Register(ctx, cfg, st)...)
}

func (a *app) showFindings(findings []checklist.Line) error {
	colours := map[checklist.Result]string{
		checklist.OK: terminal.Green, checklist.Warning: terminal.Yellow, checklist.Bad: terminal.Red,
	}
	rows := [][]string{}
	for _, f := range findings {
		rows = append(rows, []string{a.Paint(colours[f.Result], string(f.Result)), f.Name, f.Detail})
	}
	if err := a.Table([]string{"result", "what", "found"}, rows); err != nil {
		return err
	}
	for _, f := range findings {
		if f.Hint != "" {
			a.Note("hint: %s: %s", f.Name, f.Hint)
		}
	}
	return nil
}
