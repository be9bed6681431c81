// Package checklist is one line of a checklist: the subject, the result, and the advice.
package checklist

import (
	"fmt"

	"highwater/internal/hints"
)

// Result is the outcome of a look. The zero value: nobody could look.
type Result string

// The results. Waiting and Bad stand in the way of the checklist's purpose.
const (
	Unknown Result = ""
	OK      Result = "ok"
	Warning Result = "warning" // good enough to go on, and not as good as advised
	Waiting Result = "waiting" // not yet
	Bad     Result = "bad"
	Stated  Result = "stated"  // nobody can look; a statement of the operator
	Skipped Result = "skipped" // left out by the operator, with a reason
)

// Results are all results but Unknown.
var Results = []Result{OK, Warning, Waiting, Bad, Stated, Skipped}

// Passed tells whether the checklist may go on.
func (r Result) Passed() bool { return r == OK || r == Warning || r == Stated || r == Skipped }

// Line is one line of a checklist.
type Line struct {
	ID     ID     `json:"id,omitempty"` // for programs
	Name   string `json:"name"`         // for people; lines of an ID may have several names
	Result Result `json:"result"`
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"` // the advice
	// MayPass marks a line that stands in the way: time may mend the fault, or somebody at the machine, until the next
	// look.
	MayPass bool `json:"may_pass,omitempty"`
}

// New makes a line with its ID as the name.
func New(id ID, result Result, detail, hint string) Line {
	return Line{ID: id, Name: string(id), Result: result, Detail: detail, Hint: hint}
}

// Good makes a line without a fault.
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

// OrWait turns a bad line into a waiting line.
func (l Line) OrWait() Line {
	if l.Result == Bad {
		l.Result = Waiting
	}
	return l
}

// Passing sets MayPass on a line in the way.
func (l Line) Passing() Line {
	l.MayPass = !l.Result.Passed()
	return l
}

// Stands is the first line in the way; nil: none.
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
