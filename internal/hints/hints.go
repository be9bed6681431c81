// Package hints gives errors their advice: what the operator does next.
package hints

import "errors"

// Hinter is an error with advice.
type Hinter interface{ HintText() string }

// Of is the advice of an error, or of the errors below it. Empty: none has advice.
func Of(err error) string {
	var h Hinter
	if errors.As(err, &h) {
		return h.HintText()
	}
	return ""
}

// Add gives an error its advice. The error's text stays as it is.
func Add(err error, hint string) error { return &advised{err, hint} }

// advised is an error with its advice.
type advised struct {
	err  error
	hint string
}

func (e *advised) Error() string    { return e.err.Error() }
func (e *advised) Unwrap() error    { return e.err }
func (e *advised) HintText() string { return e.hint }
