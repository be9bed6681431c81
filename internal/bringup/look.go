package bringup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"highwater/failover"
	"highwater/hwm/bundle"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/markfiles"
	"highwater/operate"
)

// Backup is this machine while it is made the backup of another one.
type Backup struct {
	Config *config.Config
	Record *Record
	// Open gives the instance's admin API, of the daemon or of the store itself, and what closes it; with devices they are looked at.
	Open func(ctx context.Context, devices bool) (operate.Admin, func() error, error)
	// CreateStore makes an empty watermark file; nil: nobody said that one may be made.
	CreateStore func(ctx context.Context) error
	Note        func(format string, args ...any) // says what is no result
	BakerDir    string                           // base directory of octez-baker; empty: nobody said
	Files       []string                         // of watermarks, to take over
	Trust       markfiles.Trust                  // whose bundles are taken
	Wait        time.Duration                    // for watermarks that come from the other instance

	// What was looked at already in this run.
	snapshot *operate.Status
	lookErr  error
	plan     *operate.HandoverAnswer
	bundles  []*bundle.Bundle
}

// Checklist is the steps of this machine. Each entry is shown as it is made.
func (b *Backup) Checklist(show func(Entry)) *Checklist {
	return &Checklist{
		Steps: b.steps(), Record: b.Record, Now: time.Now, Save: func() error { return SaveRecord(b.Config, b.Record) }, Show: show,
	}
}

// Look takes one snapshot of the instance: of the daemon, or of the store and the devices when none serves. The store is not held
// while questions are asked.
func (b *Backup) Look(ctx context.Context) (*operate.Status, error) {
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
func (b *Backup) lookAgain() { b.snapshot, b.lookErr = nil, nil }

func (b *Backup) with(ctx context.Context, devices bool, f func(operate.Admin) error) error {
	admin, done, err := b.Open(ctx, devices)
	if err != nil {
		return err
	}
	return errors.Join(f(admin), done())
}

// planned is a dry run of a handover: it asks the other instance. The same looks are made before every real one.
func (b *Backup) planned(ctx context.Context) (*operate.HandoverAnswer, error) {
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
func (b *Backup) planFinding(ctx context.Context, id checklist.ID) (checklist.Line, bool) {
	plan, err := b.planned(ctx)
	if err != nil {
		return broken(err), true
	}
	if l, ok := checklist.Find(plan.Findings, id); ok {
		return l, true
	}
	return checklist.Line{Result: checklist.Waiting, Detail: "the peer did not say"}, false
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

// Outlook is what this machine can do now, and how.
func (b *Backup) Outlook() string {
	if e, _ := b.Record.Entry(stepPeer); e.Result == checklist.Skipped {
		return "without a link the right to sign comes by highwater accept, or by highwater activate when the first machine cannot sign"
	}
	return "this machine can take its peer's place (highwater handover, highwater takeover)"
}
