// Package hints is advice, the next step of the operator: advice of errors, and commands ready to be pasted.
package hints

import "errors"

// Hinter is an error with advice.
type Hinter interface{ HintText() string }

// Of is the advice of an error, or of the nearest wrapped error. Empty: no error has advice.
func Of(err error) string {
	var h Hinter
	if errors.As(err, &h) {
		return h.HintText()
	}
	return ""
}

// Add gives an error advice. The text of the error stays.
func Add(err error, hint string) error { return &advised{err, hint} }

// advised is an error with advice.
type advised struct {
	err  error
	hint string
}

func (e *advised) Error() string    { return e.err.Error() }
func (e *advised) Unwrap() error    { return e.err }
func (e *advised) HintText() string { return e.hint }
