package pair

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/failover"
	"highwater/hwm/bundle"
	"highwater/internal/bringup"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
)

const bringUpLong = `Go through everything that a second machine needs before it can take the first one's place, and measure at the end what a
switch would take. It starts where it is: from a configuration and nothing else, or in the middle. What can be looked at is
looked at, each time; what only you can know is asked, and kept with your words. It changes nothing about who signs.

It can be stopped at any point and run again. Steps that wait say what to do, on which machine. Exit status 0 when all is done.

Where nobody is there to answer: --state STEP=TEXT makes a statement about the world in your name, --skip STEP=WHY leaves a step
out; both are kept. --yes makes no statement: it lets an empty watermark file be created where there is none.`

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
			return nil, hints.Add(terminal.Usagef("--%s %q says nothing", flag, t), "it wants STEP=TEXT, e.g. --"+flag+" 'baker-files=carried over today'")
		}
		out[step] = text
	}
	return out, nil
}

func (a *app) bringUpCmd() *cobra.Command {
	var f bringUpFlags
	c := a.AddJSON(&cobra.Command{
		Use: "bring-up", Short: "Bring this machine into service as the backup, step by step", Long: bringUpLong,
		Example: "  highwater bring-up\n  highwater bring-up --baker-dir /home/tezos/.tezos-client --skip 'node=the baker asks a remote one'",
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
	c.Flags().BoolVar(&f.yes, "yes", false, "create an empty watermark file without asking, where there is none (this is no statement)")
	c.Flags().StringVar(&f.bakerDir, "baker-dir", "", "the base `DIRECTORY` of octez-baker on this machine, to look at its files")
	c.Flags().StringArrayVar(&f.files, "import", nil, "take watermarks over from this `FILE`: a bundle, or what hwm import reads (repeatable)")
	c.Flags().StringArrayVar(&f.state, "state", nil, "answer the question of a step in your words: `STEP=TEXT` (repeatable)")
	c.Flags().StringArrayVar(&f.skip, "skip", nil, "leave a step out, and why: `STEP=WHY` (repeatable)")
	c.Flags().DurationVar(&f.wait, "wait", 10*time.Second, "how long to wait for watermarks that come from the other instance")
	f.trust.Flag(c)
	c.AddCommand(a.bringUpReportCmd())
	return c
}

// bringUp is one run through the checklist.
type bringUp struct {
	*app
	cfg    *config.Config
	f      bringUpFlags
	record *bringup.Record

	// What was looked at already in this run.
	snapshot *operate.Status
	lookErr  error
	plan     *operate.HandoverAnswer
	bundles  []*bundle.Bundle
}

func (a *app) newBringUp(cfg *config.Config, f bringUpFlags, r *bringup.Record) (*bringUp, *bringup.Checklist) {
	b := &bringUp{app: a, cfg: cfg, f: f, record: r}
	return b, &bringup.Checklist{
		Steps: b.steps(), Record: r, Now: time.Now, Save: func() error { return saveRecord(cfg, r) },
		Show: b.show,
	}
}

func (a *app) bringUp(ctx context.Context, f bringUpFlags) error {
	cfg, err := a.Config()
	if err != nil {
		return err
	}
	record, err := openRecord(cfg)
	if err != nil {
		return err
	}
	b, list := a.newBringUp(cfg, f, record)
	if list.Operator.State, err = byStep("state", f.state); err != nil {
		return err
	}
	if list.Operator.Skip, err = byStep("skip", f.skip); err != nil {
		return err
	}
	if id := list.Unnamed(); id != "" {
		return hints.Add(terminal.Usagef("%q is no step that can be stated or skipped so", id), "to state: "+b.named(list, true)+"; to skip: "+b.named(list, false))
	}
	if a.Interactive && !a.AsJSON {
		list.Operator.Ask = b.ask
	}
	passed, err := list.Run(ctx)
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return hints.Add(errors.New("stopped"), "what was done is kept; run the same command again")
		}
		return err
	}
	return b.conclude(list, passed)
}

// named lists the steps that may be stated, or left out.
func (b *bringUp) named(list *bringup.Checklist, state bool) string {
	var ids []string
	for _, s := range list.Steps {
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
		how += "; skip: WHY leaves it out"
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

func (b *bringUp) conclude(list *bringup.Checklist, passed int) error {
	missing := list.Missing()
	if b.AsJSON {
		if err := b.JSON(b.record); err != nil {
			return err
		}
	} else {
		b.Say("")
		if len(missing) == 0 {
			b.Say("%s: all %d steps; %s", b.Paint(terminal.Green, "ready"), passed, b.outlook())
		} else {
			b.Say("%s: %d of %d steps; next: %s", b.Paint(terminal.Yellow, "not ready yet"), passed, len(list.Steps), missing[0].Step)
			if missing[0].Hint != "" {
				b.Say("  → %s", missing[0].Hint)
			}
		}
		b.Note("kept in %s; shown by: highwater bring-up report", recordPath(b.cfg))
	}
	if len(missing) > 0 {
		return cli.ErrSaid
	}
	return nil
}

// outlook is what this machine can do now, and how.
func (b *bringUp) outlook() string {
	if e, _ := b.record.Entry(stepPeer); e.Result == checklist.Skipped {
		return "without a link the right to sign comes by highwater accept, or by highwater activate when the other machine cannot sign"
	}
	return "this machine can take the other one's place (highwater handover, highwater takeover)"
}

// look takes one snapshot of the instance: of the daemon, or of the store and the devices when none serves. The store is not held
// while questions are asked.
func (b *bringUp) look(ctx context.Context) (*operate.Status, error) {
	if b.snapshot == nil && b.lookErr == nil {
		b.lookErr = b.with(ctx, true, func(admin operate.Admin) error {
			st, err := admin.Status(ctx)
			b.snapshot = &st
			return err
		})
		if b.lookErr != nil {
			b.snapshot = nil
		}
	}
	return b.snapshot, b.lookErr
}

// lookAgain forgets what was seen: something was changed, or had time to change.
func (b *bringUp) lookAgain() { b.snapshot, b.lookErr = nil, nil }

func (b *bringUp) with(ctx context.Context, devices bool, f func(operate.Admin) error) error {
	admin, done, err := b.Admin(ctx, b.cfg, devices)
	if err != nil {
		return err
	}
	return errors.Join(f(admin), done())
}

// planned is a dry run of a handover: it asks the other instance. The same looks are made before every real one.
func (b *bringUp) planned(ctx context.Context) (*operate.HandoverAnswer, error) {
	if b.plan == nil {
		err := b.with(ctx, false, func(admin operate.Admin) error {
			h, err := admin.Handover(ctx, failover.HandoverRequest{DryRun: true})
			b.plan = &h
			return err
		})
		if err != nil {
			b.plan = nil
			return nil, err
		}
	}
	return b.plan, nil
}

// planFinding is one line of that dry run; false when it did not get so far.
func (b *bringUp) planFinding(ctx context.Context, id checklist.ID) (checklist.Line, bool) {
	plan, err := b.planned(ctx)
	if err != nil {
		return broken(err), true
	}
	if l, ok := checklist.Find(plan.Findings, id); ok {
		return l, true
	}
	return checklist.Line{Result: checklist.Waiting, Detail: "the other instance did not say"}, false
}

func broken(err error) checklist.Line {
	return checklist.Line{Result: checklist.Bad, Detail: err.Error(), Hint: hints.Of(err)}
}

func fine(format string, args ...any) checklist.Line {
	return checklist.Line{Result: checklist.OK, Detail: fmt.Sprintf(format, args...)}
}

func waiting(hint, format string, args ...any) checklist.Line {
	return checklist.Line{Result: checklist.Waiting, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// foundOf is several findings of a check as one: the worst decides, and says what to do.
func foundOf(findings ...checklist.Line) checklist.Line {
	order := []checklist.Result{checklist.OK, checklist.Warning, checklist.Bad}
	worst, texts := 0, []string{}
	out := checklist.Line{}
	for _, f := range findings {
		texts = append(texts, f.Detail)
		for i, r := range order {
			if r == f.Result && (i > worst || out.Result == "") {
				worst, out.Result, out.Hint = i, r, f.Hint
			}
		}
	}
	out.Detail = strings.Join(texts, "; ")
	return out
}
