package auditlog

import (
	"fmt"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/audit"
	"highwater/internal/words"
)

const verifyLong = `Read the whole audit log, and look for records changed, taken out, put in, moved, or cut off between further records. Gaps
named by the log itself are notes. The status is 1 with any fault.

A log alone cannot show a cut-off end, nor a log written anew as a whole. Heads known from elsewhere show both: the
daemon writes "audit head" with record and link into its own log every hour, "highwater status --json" has the newest,
and bundles and releases carry a head, signed. The status is 1, too, with a head that the log does not have.`

func (a *app) verifyCmd() *cobra.Command {
	var p place
	var heads []string
	c := &cobra.Command{
		Use: "verify", Short: "Look for changed, missing and foreign records", Args: cli.NoArgs, Long: verifyLong,
		Example: "  highwater audit verify\n  highwater audit verify --dir COPY --head /media/stick/bundle.json",
		RunE: func(*cobra.Command, []string) error {
			known, err := readHeads(heads)
			if err != nil {
				return err
			}
			dir, err := a.dirOf(p)
			if err != nil {
				return err
			}
			r, err := audit.Verify(dir, ends(known)...)
			if err != nil {
				return explain(err)
			}
			if err := ofLog(known, r); err != nil {
				return err
			}
			return a.say(dir, r)
		},
	}
	p.flag(c)
	c.Flags().StringSliceVar(&heads, "head", nil,
		"a known head: RECORD:LINK, or the `FILE` of a bundle or release of the log's instance (repeatable)")
	return a.AddJSON(c)
}

// say shows a report. With a fault the status is 1.
func (a *app) say(dir string, r audit.Report) error {
	if a.AsJSON {
		if err := a.JSON(r); err != nil {
			return err
		}
	} else {
		a.Say("%s: records %d to %d in %s, %s", dir, r.First, r.Last, words.Count(r.Files, "file"),
			words.Count(int64(r.Decisions), "decision")) //nolint:gosec // far below 2^63
		a.Say("head %d:%s", r.Last, r.Link)
		for _, n := range r.Notes {
			a.Say("note   record %d: %s", n.Record, n.Text)
		}
		for _, f := range r.Faults {
			a.Say("FAULT  record %d%s: %s", f.Record, inFile(f.File), f.Text)
		}
		for _, h := range r.Found {
			a.Say("known head %s: the log has the record, and was not rewritten up to there", h)
		}
		if len(r.Faults) == 0 {
			a.Say("no record was changed, and none is missing in between")
		}
	}
	if len(r.Faults) > 0 {
		return cli.ErrSaid
	}
	return nil
}

func inFile(name string) string {
	if name == "" {
		return ""
	}
	return fmt.Sprintf(" in %s", name)
}
