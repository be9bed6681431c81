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
	ID string // also what people read
	// After are steps that must be passed before this one is looked at.
	After []string
	// Check looks, and changes nothing.
	Check func(ctx context.Context) checklist.Line
	// Act does what is missing, when Check did not pass; may be nil. With Always it acts in any case.
	Act    func(ctx context.Context, f checklist.Line) checklist.Line
	Always bool
	// Question is what the operator is asked when nobody can look: a fact about the world, which no flag implies. Empty: the step
	// is never stated.
	Question string
	// Lasting: what was found once stays found when nobody can look again.
	Lasting bool
	// Skip tells what a backup does without, so that it can be left out with a reason; empty: it cannot be.
	Skip string
}

// Operator is who answers.
type Operator struct {
	State map[string]string // statements made beforehand, by step
	Skip  map[string]string // reasons to leave steps out
	// Ask puts a step's question. Empty: no answer. It is nil where nobody is there.
	Ask func(s Step, f checklist.Line) (text string, skip bool)
}

// Checklist is a run through the steps.
type Checklist struct {
	Steps    []Step
	Record   *Record
	Operator Operator
	Now      func() time.Time
	// Save makes the record durable; it is called after each step.
	Save func() error
	// Show is called with each entry as it is made.
	Show func(Entry)
}

// Run goes through all steps. What can change is looked at again; what was stated, or left out, stays. It ends early when ctx does,
// or when the record cannot be kept. It tells how many steps are passed.
func (c *Checklist) Run(ctx context.Context) (passed int, err error) {
	for _, s := range c.Steps {
		if err := ctx.Err(); err != nil {
			return passed, err
		}
		e := c.step(ctx, s)
		if err := ctx.Err(); err != nil {
			return passed, err // what was found under a context that ended is no finding
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

// decide is what the operator says of a step that did not pass: now, before, or when asked.
func (c *Checklist) decide(s Step, f checklist.Line, before Entry, decided bool, ask func(Step, checklist.Line) (string, bool)) Entry {
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

// asks tells whether a person has something to say to what was found.
func (s Step) asks(f checklist.Line) bool {
	return s.Question != "" && (f.Result == checklist.Unknown || f.Result == checklist.Waiting)
}

// decidedNow is what was said in this run's own words.
func (c *Checklist) decidedNow(s Step) *checklist.Line {
	if text := strings.TrimSpace(c.Operator.State[s.ID]); text != "" && s.Question != "" {
		return &checklist.Line{Result: checklist.Stated, Detail: text}
	}
	if text := strings.TrimSpace(c.Operator.Skip[s.ID]); text != "" && s.Skip != "" {
		return &checklist.Line{Result: checklist.Skipped, Detail: text}
	}
	return nil
}

// found keeps beside the reason for leaving a step out what there was to see.
func found(d, f checklist.Line) checklist.Line {
	if d.Result == checklist.Skipped && f.Detail != "" {
		d.Detail += " (found: " + f.Detail + ")"
	}
	return d
}

func (c *Checklist) entry(s Step, f checklist.Line) Entry {
	return Entry{Step: s.ID, Result: f.Result, Detail: clip(f.Detail), Hint: clip(f.Hint), At: stamp(c.Now())}
}

// unmet names the first step that must come before and is not passed.
func (c *Checklist) unmet(s Step) string {
	for _, id := range s.After {
		if e, ok := c.Record.Entry(id); !ok || !e.Result.Passed() {
			return id
		}
	}
	return ""
}

// Change is a step of which something else is true than the record says.
type Change struct {
	Then Entry `json:"then"`
	Now  Entry `json:"now"`
}

// Changes looks at all steps again, without doing anything, and gives those that passed and would not now. What nobody can look at
// is as true as it was.
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

// Missing are the steps that are not passed, in order.
func (c *Checklist) Missing() []Entry {
	var out []Entry
	for _, s := range c.Steps {
		if e, ok := c.Record.Entry(s.ID); !ok || !e.Result.Passed() {
			out = append(out, e)
		}
	}
	return out
}

// Unnamed gives a step that the operator named and the checklist has not, or that is not to be stated or left out; "" when all fit.
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
