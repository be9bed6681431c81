package bringup

import (
	"context"
	"slices"
	"strings"
	"time"

	"highwater/internal/checklist"
)

// Step is one line of the checklist.
type Step struct {
	ID string // people read the ID, too
	// After are the steps to pass before a look at the step.
	After []string
	// Check looks, and changes nothing.
	Check func(ctx context.Context) checklist.Line
	// Act mends the step, when Check did not pass; may be nil. With Always, Act runs in any case.
	Act    func(ctx context.Context, f checklist.Line) checklist.Line
	Always bool
	// Question is put to the operator when nobody can look: a fact about the world, implied by no flag. Empty: the step
	// is never stated.
	Question string
	// Lasting: a result stays, when nobody can look again.
	Lasting bool
	// Skip names the loss of a backup without the step. Empty: the step cannot be left out.
	Skip string
}

// Operator is the person with the answers.
type Operator struct {
	State map[string]string // statements made beforehand, by step
	Skip  map[string]string // reasons to leave steps out
	// Ask puts a step's question. Empty: no answer. Nil: no person to ask.
	Ask func(s Step, f checklist.Line) (text string, skip bool)
}

// Checklist is a run through the steps.
type Checklist struct {
	Steps    []Step
	Record   *Record
	Operator Operator
	Now      func() time.Time
	// Save makes the record durable, and is called after each step.
	Save func() error
	// Show is called with each new entry.
	Show func(Entry)
}

// Run goes through all steps, and counts the passed steps. Run looks again at everything that can change; statements
// and omissions stay. Run ends early with ctx, or when the record cannot be saved.
func (c *Checklist) Run(ctx context.Context) (passed int, err error) {
	for _, s := range c.Steps {
		if err := ctx.Err(); err != nil {
			return passed, err
		}
		e := c.step(ctx, s)
		if err := ctx.Err(); err != nil {
			return passed, err // a look under an ended context is no finding
		}
		c.Record.Put(e)
		if err := c.Save(); err != nil {
			return passed, err
		}
		c.Show(e)
		if e.Result.Passed() {
			passed++
		}
	}
	return passed, nil
}

func (c *Checklist) step(ctx context.Context, s Step) Entry {
	before, seen := c.Record.Entry(s.ID)
	decided := seen && (before.Result == checklist.Stated || before.Result == checklist.Skipped)
	if first := c.unmet(s); first != "" {
		if now := c.decidedNow(s); now != nil {
			return c.entry(s, *now)
		}
		return c.decide(s, checklist.Line{Result: checklist.Waiting, Detail: "after: " + first}, before, decided, nil)
	}
	f := s.Check(ctx)
	if s.Act != nil && (!f.Result.Passed() || s.Always) {
		f = s.Act(ctx, f)
	}
	if f.Result.Passed() {
		return c.entry(s, f)
	}
	if s.Lasting && f.Result == checklist.Unknown && seen && before.Result.Passed() && c.decidedNow(s) == nil {
		return before
	}
	return c.decide(s, f, before, decided, c.Operator.Ask)
}

// decide gives the operator's word on a step that did not pass: from now, from before, or asked.
func (c *Checklist) decide(s Step, f checklist.Line, before Entry, decided bool,
	ask func(Step, checklist.Line) (string, bool),
) Entry {
	if now := c.decidedNow(s); now != nil {
		return c.entry(s, found(*now, f))
	}
	if decided {
		return before
	}
	if ask != nil && s.asks(f) {
		text, skip := ask(s, f)
		switch text = strings.TrimSpace(text); {
		case text != "" && skip && s.Skip != "":
			return c.entry(s, found(checklist.Line{Result: checklist.Skipped, Detail: text}, f))
		case text != "" && !skip && s.Question != "":
			return c.entry(s, checklist.Line{Result: checklist.Stated, Detail: text})
		}
	}
	if f.Result == checklist.Unknown {
		f.Result = checklist.Waiting
	}
	return c.entry(s, f)
}

// asks tells whether a person can answer the finding.
func (s Step) asks(f checklist.Line) bool {
	return s.Question != "" && (f.Result == checklist.Unknown || f.Result == checklist.Waiting)
}

// decidedNow is the operator's word from the present run's flags.
func (c *Checklist) decidedNow(s Step) *checklist.Line {
	if text := strings.TrimSpace(c.Operator.State[s.ID]); text != "" && s.Question != "" {
		return &checklist.Line{Result: checklist.Stated, Detail: text}
	}
	if text := strings.TrimSpace(c.Operator.Skip[s.ID]); text != "" && s.Skip != "" {
		return &checklist.Line{Result: checklist.Skipped, Detail: text}
	}
	return nil
}

// found keeps the finding beside the reason for leaving a step out.
func found(d, f checklist.Line) checklist.Line {
	if d.Result == checklist.Skipped && f.Detail != "" {
		d.Detail += " (found: " + f.Detail + ")"
	}
	return d
}

func (c *Checklist) entry(s Step, f checklist.Line) Entry {
	return Entry{Step: s.ID, Result: f.Result, Detail: clip(f.Detail), Hint: clip(f.Hint), At: stamp(c.Now())}
}

// unmet names the first earlier step that is not passed.
func (c *Checklist) unmet(s Step) string {
	for _, id := range s.After {
		if e, ok := c.Record.Entry(id); !ok || !e.Result.Passed() {
			return id
		}
	}
	return ""
}

// Change is a step with a new result, different from the record's.
type Change struct {
	Then Entry `json:"then"`
	Now  Entry `json:"now"`
}

// Changes looks at all steps again, without an act, and gives the steps that passed and would not pass now. A step that
// nobody can look at keeps its result.
func (c *Checklist) Changes(ctx context.Context) []Change {
	out := []Change{}
	for _, s := range c.Steps {
		then, ok := c.Record.Entry(s.ID)
		if !ok || then.Result != checklist.OK && then.Result != checklist.Warning || c.unmet(s) != "" {
			continue
		}
		if f := s.Check(ctx); f.Result != checklist.Unknown && !f.Result.Passed() {
			out = append(out, Change{then, c.entry(s, f)})
		}
	}
	return out
}

// Missing are the steps not passed, in order.
func (c *Checklist) Missing() []Entry {
	var out []Entry
	for _, s := range c.Steps {
		if e, ok := c.Record.Entry(s.ID); !ok || !e.Result.Passed() {
			out = append(out, e)
		}
	}
	return out
}

// Unnamed gives a step named by the operator that the checklist lacks, or that cannot be stated or left out; "" when
// all names fit.
func (c *Checklist) Unnamed() string {
	for id := range c.Operator.State {
		if !slices.ContainsFunc(c.Steps, func(s Step) bool { return s.ID == id && s.Question != "" }) {
			return id
		}
	}
	for id := range c.Operator.Skip {
		if !slices.ContainsFunc(c.Steps, func(s Step) bool { return s.ID == id && s.Skip != "" }) {
			return id
		}
	}
	return ""
}
