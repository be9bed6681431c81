package auditlog

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/audit"
	"highwater/internal/terminal"
	"highwater/internal/words"
)

const showLong = `Show the newest records of the audit log, the newest last. The place of a mark is level/round. The records are checked on
the way: the first changed record ends the list with an error.`

func (a *app) showCmd() *cobra.Command {
	var p place
	var f filter
	last := 40
	c := &cobra.Command{
		Use: "show", Short: "Show the newest decisions, or the decisions of a key or level", Args: cli.NoArgs, Long: showLong,
		Example: "  highwater audit show --key consensus --level 9123456",
		RunE: func(*cobra.Command, []string) error {
			if last < 1 || last > 1_000_000 {
				return terminal.Usagef("--last %d: expected 1 to 1000000", last)
			}
			if err := a.prepare(&f); err != nil {
				return err
			}
			dir, err := a.dirOf(p)
			if err != nil {
				return err
			}
			rows := []audit.Row{}
			err = audit.Each(dir, func(r audit.Row) bool {
				if f.takes(r) {
					if rows = append(rows, r); len(rows) >= 2*last { // now and then, not for each record
						rows = append(rows[:0], rows[len(rows)-last:]...)
					}
				}
				return true
			})
			rows = rows[max(0, len(rows)-last):]
			return errors.Join(a.list(rows), explain(err))
		},
	}
	p.flag(c)
	f.flags(c)
	c.Flags().IntVar(&last, "last", last, "the number of newest records to show")
	return a.AddJSON(c)
}

func (a *app) list(rows []audit.Row) error {
	if a.AsJSON {
		return a.JSON(rows)
	}
	if len(rows) == 0 {
		a.Say("no such record")
		return nil
	}
	out := [][]string{}
	for _, r := range rows {
		out = append(out, line(r))
	}
	return a.Table([]string{
		"record", "time", "key", "kind", "asked", "mark before", "verdict", "reason", "device", "client", "ms",
	}, out)
}

func line(r audit.Row) []string {
	record := fmt.Sprint(r.Record)
	if e := r.Event; e != nil {
		what := e.What
		if e.Count > 0 {
			what = fmt.Sprintf("%s of %d", e.What, e.Count)
		}
		if e.UpTo > 0 {
			what = fmt.Sprintf("%s up to %d", e.What, e.UpTo)
		}
		why := e.Why
		if e.Head != nil {
			why = fmt.Sprintf("%s: head %s of %.8s", e.Why, e.Head, words.Dash(e.Peer))
		}
		return []string{record, words.Time(r.At), "-", "-", "-", "-", what, words.Dash(why), "-", "-", "-"}
	}
	d := r.Decision
	asked := "-"
	if d.Word != "" {
		asked = placeText(audit.Place{Level: d.Level, Round: d.Round})
	}
	before := "none"
	if d.Before != nil {
		before = placeText(*d.Before)
	}
	return []string{
		record, words.Time(r.At), d.PKH, words.Dash(d.Word), asked, before, d.Verdict, words.Dash(d.Reason), words.Dash(d.Device),
		words.Dash(d.Client), fmt.Sprintf("%.1f", d.TookMS),
	}
}

// placeText is a level and round; a floor has any round.
func placeText(p audit.Place) string {
	if p.Round == math.MaxInt32 {
		return fmt.Sprintf("%d/any", p.Level)
	}
	return fmt.Sprintf("%d/%d", p.Level, p.Round)
}

const exportLong = `Write records of the audit log as JSON, one object a line, oldest first, for programs. For a proof, give a copy of the whole
directory, with the heads that are known: "highwater audit verify --dir COPY --head RECORD:LINK" reads it anywhere.`

func (a *app) exportCmd() *cobra.Command {
	var p place
	var f filter
	var out string
	c := &cobra.Command{
		Use: "export", Short: "Write records as JSON, one a line", Args: cli.NoArgs, Long: exportLong,
		Example: "  highwater audit export --level 9123000-9124000 --out audit.jsonl",
		RunE: func(*cobra.Command, []string) error {
			if err := a.prepare(&f); err != nil {
				return err
			}
			dir, err := a.dirOf(p)
			if err != nil {
				return err
			}
			if out == "" {
				return explain(export(a.Out, dir, &f))
			}
			file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's choice
			if err != nil {
				return err
			}
			err = errors.Join(export(file, dir, &f), file.Sync(), file.Close())
			if err == nil {
				a.Note("wrote %s", out)
			}
			return explain(err)
		},
	}
	p.flag(c)
	f.flags(c)
	c.Flags().StringVar(&out, "out", "", "write to this new `FILE` instead of standard output")
	return c
}

func export(to io.Writer, dir string, f *filter) error {
	w := bufio.NewWriter(to)
	enc := json.NewEncoder(w)
	var failed error
	err := audit.Each(dir, func(r audit.Row) bool {
		if f.takes(r) {
			failed = enc.Encode(r)
		}
		return failed == nil
	})
	return errors.Join(err, failed, w.Flush())
}
