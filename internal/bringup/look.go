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

// Backup is this machine on its way to be the backup.
type Backup struct {
	Config *config.Config
	Record *Record
	// Open gives the admin API, of the daemon or of the store itself, with a function to close the API. With devices, the
	// status includes the devices.
	Open func(ctx context.Context, devices bool) (operate.Admin, func() error, error)
	// CreateStore makes an empty watermark file; nil: nobody allowed a new file.
	CreateStore func(ctx context.Context) error
	Note        func(format string, args ...any) // prints a remark, not a result
	BakerDir    string                           // base directory of octez-baker; empty: nobody said
	Files       []string                         // of watermarks, to take over
	Trust       markfiles.Trust                  // the trusted signer of bundles
	Wait        time.Duration                    // for watermarks from the peer

	// The looks already made in this run.
	snapshot *operate.Status
	lookErr  error
	plan     *operate.HandoverAnswer
	bundles  []*bundle.Bundle
}

// Checklist is the steps of this machine. show prints each new entry.
func (b *Backup) Checklist(show func(Entry)) *Checklist {
	return &Checklist{
		Steps: b.steps(), Record: b.Record, Now: time.Now, Save: func() error { return SaveRecord(b.Config, b.Record) },
		Show: show,
	}
}

// Look takes one snapshot of the instance: of the daemon, or, without a daemon, of the store and the devices. The store
// is closed before any question to the operator.
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

// lookAgain drops the snapshot after a change, or after time for a change.
func (b *Backup) lookAgain() { b.snapshot, b.lookErr = nil, nil }

func (b *Backup) with(ctx context.Context, devices bool, f func(operate.Admin) error) error {
	admin, done, err := b.Open(ctx, devices)
	if err != nil {
		return err
	}
	return errors.Join(f(admin), done())
}

// planned is a dry run of a handover, answered by the peer. Every real handover makes the same checks first.
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

// planFinding is one finding of the dry run; false when the dry run ended earlier.
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

// foundOf joins several findings of a check: the worst finding gives result and hint.
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

// Outlook tells whether this machine can take over now, and by which command.
func (b *Backup) Outlook() string {
	if b.Config.Shared() {
		return "this machine takes the right to sign by itself when its owner is gone (by hand: highwater handover, highwater takeover)"
	}
	if e, _ := b.Record.Entry(stepPeer); e.Result == checklist.Skipped {
		return "without a link the right to sign comes by highwater accept, or by highwater activate when the first " +
			"machine cannot sign"
	}
	return "this machine can take its peer's place (highwater handover, highwater takeover)"
}
