package pair

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/bringup"
	"highwater/internal/checklist"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/words"
)

func (a *app) bringUpReportCmd() *cobra.Command {
	return a.AddJSON(&cobra.Command{
		Use: "report", Short: "Show the kept report, and the outdated lines", Args: cli.NoArgs,
		Long: "Show the kept report of the bring-up and its drills. The command looks again at everything\n" +
			"visible, and names each outdated line. Nothing is changed, not even the report. Exit status 0\n" +
			"when all is done and still true.",
		Example: "  highwater bring-up report --json",
		RunE:    func(c *cobra.Command, _ []string) error { return a.bringUpReport(c.Context()) },
	})
}

// reportView is the report as JSON.
type reportView struct {
	Record     *bringup.Record  `json:"record"`
	AgeSeconds int64            `json:"age_seconds"` // since the last entry
	Done       bool             `json:"done"`        // nothing was missing at that entry
	Changes    []bringup.Change `json:"changes"`     // findings that no longer hold
}

func (a *app) bringUpReport(ctx context.Context) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	record, ok, err := bringup.LoadRecord(cfg)
	if err != nil {
		return err
	}
	if !ok {
		return hints.Add(fmt.Errorf("no bring-up was begun with %s", cfg.StateDir), "highwater bring-up")
	}
	b := a.newBringUp(cfg, bringUpFlags{}, record)
	if st, lookErr := b.backup.Look(ctx); lookErr == nil && st.Role.Role != hwm.Active {
		record.End() // the drill's right to sign went back since
	}
	v := reportView{
		Record: record, AgeSeconds: int64(time.Since(record.Updated).Seconds()),
		Done: len(b.list.Missing()) == 0, Changes: b.list.Changes(ctx),
	}
	if ctx.Err() != nil {
		return errors.New("stopped")
	}
	if a.AsJSON {
		err = a.JSON(v)
	} else {
		err = a.showReport(v)
	}
	if err == nil && (!v.Done || len(v.Changes) > 0) {
		return cli.ErrSaid
	}
	return err
}

func (a *app) showReport(v reportView) error {
	r := v.Record
	if r.Instance == "" { // no more than a drill was made
		a.Say("chain     %s", r.Chain)
	} else {
		a.Say("instance  %.8s on %s", r.Instance, r.Chain)
	}
	a.Say("begun     %s; looked at last %s, %s ago\n", words.Time(r.Started), words.Time(r.Updated),
		words.Age(time.Since(r.Updated)))
	rows := make([][]string, 0, len(r.Entries))
	for _, e := range r.Entries {
		rows = append(rows, []string{a.PaintResult(e.Result), e.Step, words.Time(e.At), e.Detail})
	}
	if len(rows) > 0 {
		if err := a.Table([]string{"result", "step", "when", "found, or stated"}, rows); err != nil {
			return err
		}
	}
	if len(r.Drills) > 0 {
		a.Say("\ndrills")
		for _, d := range r.Drills {
			a.Say("  %s  %s  %s", a.PaintResult(d.Result), words.Time(d.At), d.Words())
		}
	}
	if r.UnderWay != nil {
		a.Say("\n"+
			"%s: a drill brought the right to sign here at %s, and did not end; give the right back with: highwater handover",
			a.Paint(terminal.Red, "under way"), words.Time(*r.UnderWay))
	}
	a.Say("")
	for _, c := range v.Changes {
		a.Say("%s: %s", a.Paint(terminal.Red, "no longer true"), c.Then.Step)
		a.Checklist([]checklist.Line{c.Now.Line()})
	}
	switch {
	case len(v.Changes) > 0:
	case v.Done:
		a.Say("%s: all steps, and everything visible is still true", a.Paint(terminal.Green, "done"))
	default:
		a.Say("%s: go on with highwater bring-up", a.Paint(terminal.Yellow, "not done yet"))
	}
	return nil
}
