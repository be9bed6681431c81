package api

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// How long a client waits for the daemon's answer. A daemon that works answers most of it within milliseconds.
const (
	patience = 15 * time.Second
	// patient is for what waits for a disk, a device or the drain of signatures under way.
	patient = 45 * time.Second
	// veryPatient is for a handover that asks again after each lost answer, and for evidence that an octez node gives.
	veryPatient = 2 * time.Minute
	// forPeople is for prompts, whose callers have time-outs of their own.
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

// NoAnswerError says that the daemon accepted a request and did not answer it in time. It may still do what it was asked for.
type NoAnswerError struct {
	Request string // method and path
	After   time.Duration
}

func (e *NoAnswerError) Error() string {
	return fmt.Sprintf("the daemon did not answer within %s (%s)", e.After, e.Request)
}

// HintText is what to do.
func (e *NoAnswerError) HintText() string {
	return "it may still do it: look with highwater status, and into its log (journalctl -u highwater); " +
		"if it hangs, restart it: what was signed stays known"
}

// Unwrap makes errors.Is(err, context.DeadlineExceeded) true.
func (e *NoAnswerError) Unwrap() error { return context.DeadlineExceeded }

// LostAnswerError says that the daemon went away before it answered. It may have done what it was asked for.
type LostAnswerError struct {
	Request string // method and path
	Err     error
}

func (e *LostAnswerError) Error() string {
	return fmt.Sprintf("the daemon ended before it answered (%s): %v", e.Request, e.Err)
}

// HintText is what to do.
func (e *LostAnswerError) HintText() string {
	return "it may have done it: start it again (its log says why it ended: journalctl -u highwater), and look with highwater status"
}

func (e *LostAnswerError) Unwrap() error { return e.Err }

// bounded gives a request its time-out, and what makes an error of the client's own running out of patience. A deadline of the caller's
// that is earlier stays the caller's.
func (c *Client) bounded(ctx context.Context, method, path string, limit time.Duration) (context.Context, context.CancelFunc, func(error) error) {
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

// lost makes an error of an exchange that broke off; what ctx ended is the caller's.
func lost(ctx context.Context, method, path string, err error) error {
	if ctx.Err() != nil {
		return err
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the method and an address that nobody knows
	}
	return &LostAnswerError{method + " " + path, err}
}

func limitOf(path string) time.Duration {
	if d, ok := patienceFor[path]; ok {
		return d
	}
	return patience
}
