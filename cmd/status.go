package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/certs"
	"highwater/internal/config"
	"highwater/internal/early"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/signer"
)

func (a *app) statusCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "status", Short: "Show role, devices, keys and watermarks on one screen", Args: cli.NoArgs,
		Long: "Show the holder of the right to sign, the devices, the keys and their watermarks.\n\n" +
			"Exit status 1 when some request could not be signed now; each reason is shown.",
		Example: "  highwater status",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.WithAdmin(c.Context(), true,
				func(_ *config.Config, admin operate.Admin) error { return a.status(c.Context(), admin) })
		},
	})
}

func (a *app) status(ctx context.Context, admin operate.Admin) error {
	st, err := admin.Status(ctx)
	if err != nil {
		return err
	}
	if a.AsJSON {
		err = a.JSON(st)
	} else {
		err = a.showStatus(st)
	}
	if err == nil && !st.Ready {
		return cli.ErrSaid
	}
	return err
}

func (a *app) showStatus(st operate.Status) error {
	a.Say("%s  epoch %d, since %s: %s", a.PaintRole(st.Role.Role), st.Role.Epoch, words.Time(st.Role.Since), st.Role.Why)
	a.Say("chain   %s\ninstance %s…", st.Chain, st.Instance[:16])
	if l := st.LastRun; l != nil && len(l.Floors) > 0 {
		a.Say("last run  %s", l.Line())
	}
	a.showCertificates(st.Certificates)
	a.showGuard(st.Guard)
	a.ShowPair(st.Pair)
	a.ShowRegister(st.Register)
	if v := st.Pair; v != nil && v.Peer == nil && st.Role.Role != hwm.Active { // alone, and in need of advice
		a.ShowNext(v.Next)
	}
	rows := [][]string{}
	for _, d := range st.Devices {
		rows = append(rows, []string{
			d.Name, a.PaintHealth(d.Health), strings.TrimSpace(d.Model + " " + d.App),
			words.Dash(d.ID), words.Dash(strings.Join(d.Remarks(), "; ")),
		})
	}
	if err := a.Table([]string{"device", "health", "model", "id", "what to do"}, rows); err != nil {
		return err
	}
	a.Say("")
	if err := a.MarksTable(st.Marks); err != nil {
		return err
	}
	a.Say("")
	a.showAlarms(st.Alarms)
	a.showWarnings(st.Warnings)
	for _, note := range st.Notes {
		a.Say("%s %s", a.Paint(terminal.Yellow, "note:"), note)
	}
	if st.Ready {
		a.Say("%s: a request could be signed now", a.Paint(terminal.Green, "ready"))
		return nil
	}
	a.Say("%s:", a.Paint(terminal.Red, "not ready"))
	for _, no := range st.NotReady {
		a.Say("  - %s", no)
	}
	return nil
}

// showCertificates shows when each certificate ends.
func (a *app) showCertificates(rows []certs.Row) {
	for _, r := range rows {
		a.Say("%s  %s, ends %s", r.Setting, r.Name(), words.Time(r.Ends))
	}
}

// showGuard shows the guard's part of the status.
func (a *app) showGuard(g operate.Guard) {
	text := g.Line()
	if g.State == operate.GuardBlind {
		text = a.Paint(terminal.Red, text)
	}
	a.Say("guard   %s", text)
	if g.Hint != "" {
		a.Say("        hint: %s", g.Hint)
	}
	if g.Finding != nil {
		a.Say("        %s: %s", a.Paint(terminal.Red, "it saw"), g.Finding.Text)
	}
	a.Say("")
}

// showAlarms shows each alarm with its hint.
func (a *app) showAlarms(alarms []signer.Alarm) {
	for _, m := range alarms {
		a.Say("%s %s: %s\n  hint: %s", a.Paint(terminal.Red, "alarm:"), m.Name, m.Text, m.Hint)
	}
}

// showWarnings shows each early warning with its advice.
func (a *app) showWarnings(warnings []early.Warning) {
	for _, w := range warnings {
		a.Say("%s %s, since %s: %s\n  hint: %s", a.Paint(terminal.Yellow, "warning:"), w.Name, words.Time(w.Since), w.Text,
			w.Hint)
	}
}
