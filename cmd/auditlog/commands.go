// Package auditlog is the commands about the audit log, and about the rights that the log accounts for.
package auditlog

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/audit"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
)

type app struct{ *cli.App }

const auditLong = `The audit log has a record of every decision: the request, its client, the mark before and after, the verdict with its reason,
and hashes of payload and signature. Each record holds a hash over all records before, so a changed log is found out. The log is
read as files: the daemon may run, or be stopped, and a copy of the directory can be looked at elsewhere.`

// Commands makes the commands.
func Commands(a *cli.App) []*cobra.Command {
	v := &app{a}
	return []*cobra.Command{
		cli.Group("audit", "Verify and show the log of all decisions", auditLong,
			"  highwater audit verify\n  highwater audit show --level 9123456", v.verifyCmd(), v.showCmd(), v.exportCmd()),
		v.missedCmd(), v.journalCmd(),
	}
}

// place is the directory of a log: of the configuration, or of a copy.
type place struct{ dir string }

func (p *place) flag(c *cobra.Command) {
	c.Flags().StringVar(&p.dir, "dir", "", "the `DIRECTORY` of a copy, in the place of this instance's own log")
}

func (a *app) dirOf(p place) (string, error) {
	if p.dir != "" {
		return p.dir, nil
	}
	cfg, err := a.Config()
	if err != nil {
		return "", err
	}
	return cfg.AuditDir(), nil
}

// explain adds the advice to an error of reading a log.
func explain(err error) error {
	if err != nil && hints.Of(err) == "" {
		return hints.Add(err, "run the command as the user of the daemon; the log begins with the next start of the daemon, "+
			"unless [audit] max_size = \"0\"")
	}
	return err
}

// filter picks records.
type filter struct {
	key, level string
	pkh        string
	from, to   int64
}

func (f *filter) flags(c *cobra.Command) {
	c.Flags().StringVar(&f.key, "key", "", "only decisions about this `KEY`: an address, or an alias of the configuration")
	c.Flags().StringVar(&f.level, "level", "", "only decisions about this `LEVEL`, or about levels FROM-TO")
}

func (a *app) prepare(f *filter) error {
	if f.level != "" {
		from, to, isRange := strings.Cut(f.level, "-")
		if !isRange {
			to = from
		}
		var err, err2 error
		f.from, err = strconv.ParseInt(from, 10, 32)
		f.to, err2 = strconv.ParseInt(to, 10, 32)
		if err != nil || err2 != nil || f.from > f.to {
			return terminal.Usagef("--level %q: expected a level like 9123456, or levels like 9123400-9123500", f.level)
		}
	}
	if f.key == "" {
		return nil
	}
	if pkh, err := tezos.ParsePublicKeyHash(f.key); err == nil {
		f.pkh = pkh.String()
		return nil
	}
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	for _, k := range cfg.Keys {
		if k.Alias == f.key {
			f.pkh = k.PKH
			return nil
		}
	}
	return hints.Add(terminal.Usagef("--key %q: neither an address nor an alias of the configuration", f.key),
		"see: highwater keys list")
}

// takes tells whether a record is wanted. Events are wanted where nothing is left out.
func (f *filter) takes(r audit.Row) bool {
	if f.key == "" && f.level == "" {
		return true
	}
	d := r.Decision
	return d != nil && (f.key == "" || d.PKH == f.pkh) &&
		(f.level == "" || int64(d.Level) >= f.from && int64(d.Level) <= f.to && d.Word != "")
}
