package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// The time-outs of a client. A working daemon answers most requests within milliseconds.
const (
	patience = 15 * time.Second
	// patient is for requests waiting for a disk, a device or the drain of signatures under way.
	patient = 45 * time.Second
	// veryPatient is for a handover, asking again after each lost answer, and for evidence from an octez node.
	veryPatient = 2 * time.Minute
	// forPeople is for prompts; their callers have time-outs of their own.
	forPeople = 15 * time.Minute
)

// patienceFor is by the path of the request.
var patienceFor = map[string]time.Duration{
	"/v1/prove":         patient,
	"/v1/marks/raise":   patient,
	"/v1/activate":      patient,
	"/v1/standby":       patient,
	"/v1/peer":          patient,
	"/v1/moment":        patient,
	"/v1/devices/raise": veryPatient,
	"/v1/handover":      veryPatient,
	"/v1/release":       patient,
	"/v1/accept":        veryPatient,
	"/v1/takeover":      veryPatient,
}

// NoAnswerError says that the daemon accepted a request and did not answer in time. The daemon may still do the act.
type NoAnswerError struct {
	Request string // method and path
	After   time.Duration
}

func (e *NoAnswerError) Error() string {
	return fmt.Sprintf("the daemon did not answer within %s (%s)", e.After, e.Request)
}

// HintText is what to do.
func (e *NoAnswerError) HintText() string {
	return "the daemon may still do the act: look with highwater status, and into the log (journalctl -u highwater); " +
		"if the daemon hangs, restart highwater: all signed levels stay known"
}

// Unwrap makes errors.Is(err, context.DeadlineExceeded) true.
func (e *NoAnswerError) Unwrap() error { return context.DeadlineExceeded }

// LostAnswerError says that the daemon went away before answering. The daemon may have done the act.
type LostAnswerError struct {
	Request string // method and path
	Err     error
}

func (e *LostAnswerError) Error() string {
	return fmt.Sprintf("the daemon ended without an answer (%s): %v", e.Request, e.Err)
}

// HintText is what to do.
func (e *LostAnswerError) HintText() string {
	return "the daemon may have done the act: start highwater again, and look with highwater status; " +
		"the log says why the daemon ended (journalctl -u highwater)"
}

func (e *LostAnswerError) Unwrap() error { return e.Err }

// bounded gives a request its time-out, and a function to turn the end of that time-out into a NoAnswerError. An
// earlier deadline of the caller stays the caller's.
func (c *Client) bounded(ctx context.Context, method, path string, limit time.Duration) (
	context.Context, context.CancelFunc, func(error) error,
) {
	if c.limit > 0 {
		limit = c.limit
	}
	late := &NoAnswerError{method + " " + path, limit}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, late)
	return ctx, cancel, func(err error) error {
		if err != nil && errors.Is(context.Cause(ctx), late) {
			return late
		}
		return err
	}
}

// lost makes a LostAnswerError of a broken exchange; the end of ctx stays the caller's error.
func lost(ctx context.Context, method, path string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the method and the made-up address
	}
	return &LostAnswerError{method + " " + path, err}
}

func limitOf(path string) time.Duration {
	if d, ok := patienceFor[path]; ok {
		return d
	}
	return patience
}
