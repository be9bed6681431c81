package pair

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/bringup"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/setup"
	"highwater/internal/terminal"
	"highwater/operate"
)

const bringUpLong = `Go through all steps of a second machine on its way to the first machine's place, or of a further
machine of a register, and measure the cost of a switch at the end. Bring-up never moves the right to sign.
With a register, a finished machine takes the right by itself when the owner is gone.

The checklist starts anywhere: from a bare configuration, or in the middle. Stop and run the command again at
any point: each run looks again at everything visible. Facts that only you know are asked, and kept in your
words. A waiting step names the next act and its machine. Exit status 0 when all is done.

Without a person to answer: --state STEP=TEXT makes a statement about the world in your name, --skip STEP=WHY
leaves a step out; both are kept. --yes makes no statement: --yes only lets an empty watermark file be created,
if none exists.`

type bringUpFlags struct {
	yes      bool
	bakerDir string
	files    []string
	trust    cli.TrustFlag
	state    []string
	skip     []string
	wait     time.Duration
}

// byStep reads STEP=TEXT.
func byStep(flag string, texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, t := range texts {
		step, text, ok := strings.Cut(t, "=")
		if !ok || strings.TrimSpace(text) == "" {
			return nil, hints.Add(terminal.Usagef("--%s %q says nothing", flag, t),
				"a step and a text are expected, e.g. --"+flag+" 'baker-files=carried over today'")
		}
		out[step] = text
	}
	return out, nil
}

func (a *app) bringUpCmd() *cobra.Command {
	var f bringUpFlags
	c := a.AddJSON(&cobra.Command{
		Use: "bring-up", Short: "Bring this machine into service as the backup, step by step", Long: bringUpLong,
		Example: "  highwater bring-up\n" +
			"  highwater bring-up --baker-dir /home/tezos/.tezos-client --skip 'node=the baker asks a remote one'",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return terminal.Usagef("%s has no command %q", c.CommandPath(), args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.trust.Parse(); err != nil {
				return err
			}
			return a.bringUp(c.Context(), f)
		},
	})
	c.Flags().BoolVar(&f.yes, "yes", false, "create an empty watermark file without asking, if none exists (no statement)")
	c.Flags().StringVar(&f.bakerDir, "baker-dir", "",
		"the base `DIRECTORY` of octez-baker on this machine, for a look at the baker's files")
	c.Flags().StringArrayVar(&f.files, "import", nil,
		"take watermarks over from `FILE`: a bundle, or a file for hwm import (repeatable)")
	c.Flags().StringArrayVar(&f.state, "state", nil,
		"answer the question of a step in your words: `STEP=TEXT` (repeatable)")
	c.Flags().StringArrayVar(&f.skip, "skip", nil, "leave a step out, and why: `STEP=WHY` (repeatable)")
	c.Flags().DurationVar(&f.wait, "wait", 10*time.Second, "how long to wait for watermarks from the peer: a `TIME`")
	f.trust.Flag(c)
	c.AddCommand(a.bringUpReportCmd())
	return c
}

// bringUp is one run through the checklist.
type bringUp struct {
	*app
	backup *bringup.Backup
	list   *bringup.Checklist
}

func (a *app) newBringUp(cfg *config.Config, f bringUpFlags, r *bringup.Record) *bringUp {
	b := &bringUp{app: a, backup: &bringup.Backup{
		Config: cfg, Record: r, Note: a.Note, BakerDir: f.bakerDir, Files: f.files, Trust: f.trust.Trust, Wait: f.wait,
		Open: func(ctx context.Context, devices bool) (operate.Admin, func() error, error) {
			return a.Admin(ctx, cfg, devices)
		},
	}}
	if f.yes || a.Interactive {
		b.backup.CreateStore = func(ctx context.Context) error { return a.createStore(ctx, cfg, f.yes) }
	}
	b.list = b.backup.Checklist(b.show)
	return b
}

// createStore makes an empty watermark file after the operator's confirmation. With --json, standard output gets the
// record alone.
func (a *app) createStore(ctx context.Context, cfg *config.Config, yes bool) error {
	t := a.Terminal
	if a.AsJSON {
		t = a.Aside().Terminal
	}
	return setup.Store(ctx, t, cfg, yes)
}

func (a *app) bringUp(ctx context.Context, f bringUpFlags) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	record, err := bringup.OpenRecord(cfg)
	if err != nil {
		return err
	}
	b := a.newBringUp(cfg, f, record)
	operator := &b.list.Operator
	if operator.State, err = byStep("state", f.state); err != nil {
		return err
	}
	if operator.Skip, err = byStep("skip", f.skip); err != nil {
		return err
	}
	if id := b.list.Unnamed(); id != "" {
		return hints.Add(terminal.Usagef("the step %q cannot be stated or skipped in this way", id),
			"to state: "+b.named(true)+"; to skip: "+b.named(false))
	}
	if a.Interactive && !a.AsJSON {
		operator.Ask = b.ask
	}
	passed, err := b.list.Run(ctx)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return hints.Add(errors.New("stopped"), "finished steps are kept; run the same command again")
		}
		return err
	}
	return b.conclude(passed)
}

// named lists the steps that --state or --skip may name.
func (b *bringUp) named(state bool) string {
	var ids []string
	for _, s := range b.list.Steps {
		if state && s.Question != "" || !state && s.Skip != "" {
			ids = append(ids, s.ID)
		}
	}
	return strings.Join(ids, ", ")
}

func (b *bringUp) show(e bringup.Entry) {
	if b.AsJSON {
		return
	}
	b.Checklist([]checklist.Line{e.Line()})
}

// ask puts a question at the terminal.
func (b *bringUp) ask(s bringup.Step, f checklist.Line) (text string, skip bool) {
	if f.Detail != "" {
		b.Note("%s: %s", s.ID, f.Detail)
	}
	b.Note("%s", s.Question)
	how := "Your answer is kept in the report; an empty line: later"
	if s.Skip != "" {
		how += "; skip: WHY leaves the step out"
	}
	b.Note("%s.", how)
	fmt.Fprint(b.Err, "> ")
	line, err := b.Line()
	if err != nil {
		return "", false
	}
	line = strings.TrimSpace(line)
	if why, ok := strings.CutPrefix(line, "skip:"); ok {
		return why, true
	}
	return line, false
}

func (b *bringUp) conclude(passed int) error {
	missing := b.list.Missing()
	if b.AsJSON {
		if err := b.JSON(b.backup.Record); err != nil {
			return err
		}
	} else {
		b.Say("")
		if len(missing) == 0 {
			b.Say("%s: all %d steps; %s", b.Paint(terminal.Green, "ready"), passed, b.backup.Outlook())
		} else {
			b.Say("%s: %d of %d steps; next: %s", b.Paint(terminal.Yellow, "not ready yet"), passed, len(b.list.Steps),
				missing[0].Step)
			if missing[0].Hint != "" {
				b.Say("  → %s", missing[0].Hint)
			}
		}
		b.Note("kept in %s; shown by: highwater bring-up report", bringup.RecordPath(b.backup.Config))
	}
	if len(missing) > 0 {
		return cli.ErrSaid
	}
	return nil
}
