// Package checklist is one line of a checklist: what was looked at, what came of the look, and what to do.
package checklist

import (
	"fmt"

	"highwater/internal/hints"
)

// Result is what a look came to. The zero value: nobody could look.
type Result string

// The results. Waiting and Bad stand in the way of what the checklist is for.
const (
	Unknown Result = ""
	OK      Result = "ok"
	Warning Result = "warning" // as it must be, and not as it should be
	Waiting Result = "waiting" // not yet
	Bad     Result = "bad"
	Stated  Result = "stated"  // nobody can look; the operator said so
	Skipped Result = "skipped" // the operator left it out, with a reason
)

// Results are all results but Unknown.
var Results = []Result{OK, Warning, Waiting, Bad, Stated, Skipped}

// Passed tells whether the checklist may go on.
func (r Result) Passed() bool { return r == OK || r == Warning || r == Stated || r == Skipped }

// Line is one line of a checklist.
type Line struct {
	ID     ID     `json:"id,omitempty"` // for programs
	Name   string `json:"name"`         // for people; lines of one ID may have several names
	Result Result `json:"result"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"` // what to do
	// MayPass says of a line that stands in the way: time may mend it, or somebody at the machine, while the line is looked at again.
	MayPass bool `json:"may_pass,omitempty"`
}

// New makes a line whose name is its ID.
func New(id ID, result Result, detail, hint string) Line {
	return Line{ID: id, Name: string(id), Result: result, Detail: detail, Hint: hint}
}

// Good makes a line that is as it should be.
func Good(id ID, format string, args ...any) Line {
	return New(id, OK, fmt.Sprintf(format, args...), "")
}

// Failed makes a bad line of an error, with the error's own hint.
func Failed(id ID, err error) Line { return New(id, Bad, err.Error(), hints.Of(err)) }

// Named gives the line another name.
func (l Line) Named(name string) Line {
	l.Name = name
	return l
}

// OrWait makes a bad line one that waits.
func (l Line) OrWait() Line {
	if l.Result == Bad {
		l.Result = Waiting
	}
	return l
}

// Passing marks a line that stands in the way as one that may pass.
func (l Line) Passing() Line {
	l.MayPass = !l.Result.Passed()
	return l
}

// Stands is the first line that stands in the way; nil: none does.
func Stands(lines []Line) *Line {
	for i, l := range lines {
		if !l.Result.Passed() {
			return &lines[i]
		}
	}
	return nil
}

// Find is the first line with the ID.
func Find(lines []Line, id ID) (Line, bool) {
	for _, l := range lines {
		if l.ID == id {
			return l, true
		}
	}
	return Line{}, false
}
