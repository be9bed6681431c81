package auditlog

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/audit"
	"highwater/internal/terminal"
	"highwater/internal/words"
)

const verifyLong = `Read the whole audit log, and look for records changed, taken out, put in, moved, or cut off between further records. Gaps
named by the log itself are notes. The status is 1 with any fault.

A log alone cannot show a cut-off end, nor a log written anew as a whole. Heads known from elsewhere show both: the
daemon writes "audit head" with record and link into its own log every hour, and "highwater status --json" has the newest.`

func (a *app) verifyCmd() *cobra.Command {
	var p place
	var heads []string
	c := &cobra.Command{
		Use: "verify", Short: "Look for changed, missing and foreign records", Args: cli.NoArgs, Long: verifyLong,
		Example: "  highwater audit verify",
		RunE: func(*cobra.Command, []string) error {
			known, err := parseHeads(heads)
			if err != nil {
				return err
			}
			dir, err := a.dirOf(p)
			if err != nil {
				return err
			}
			r, err := audit.Verify(dir, known...)
			if err != nil {
				return explain(err)
			}
			return a.say(dir, r)
		},
	}
	p.flag(c)
	c.Flags().StringSliceVar(&heads, "head", nil, "a known head, as `RECORD:LINK` (repeatable)")
	return a.AddJSON(c)
}

func parseHeads(texts []string) (out []audit.Known, err error) {
	for _, text := range texts {
		record, link, _ := strings.Cut(text, ":")
		var k audit.Known
		if k.Record, err = strconv.ParseUint(record, 10, 64); err == nil {
			err = k.Link.UnmarshalText([]byte(link))
		}
		if err != nil || k.Record == 0 {
			return nil, terminal.Usagef("--head %q: expected RECORD:LINK, a number and 64 hex digits", text)
		}
		out = append(out, k)
	}
	return out, nil
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
