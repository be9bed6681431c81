package daemon

import (
	"context"
	"encoding/json"
	"fmt"

	"highwater/hwm"
	"highwater/ledger"
	"highwater/operate"
	"highwater/tezsign"
)

// verb is an act of a kind of driver besides signing. show is called with each prompt on a device's screen, and with
// progress.
type verb[D any] func(ctx context.Context, in *Instance, d D, args json.RawMessage, show func(string)) (any, error)

// deviceCall does a verb of a device's kind: for the daemon's admin socket, and for a command when no daemon runs.
func (in *Instance) deviceCall(ctx context.Context, c operate.DeviceCall, show func(string)) (json.RawMessage, error) {
	for _, w := range in.Devices {
		if w.Name() != c.Device {
			continue
		}
		var result any
		var err error
		switch d := w.driver.(type) {
		case *ledger.Device:
			result, err = runVerb(ctx, in, d, ledgerVerbs, c, show)
		case *tezsign.Device:
			result, err = runVerb(ctx, in, d, tezsignVerbs, c, show)
		default:
			err = badCall("", "device %s has no verbs", c.Device)
		}
		if err != nil {
			return nil, withReason(err)
		}
		return json.Marshal(result)
	}
	return nil, badCall("see: highwater status", "no device %q is configured", c.Device)
}

func badCall(hint, format string, args ...any) error {
	return &operate.Refusal{Reason: operate.BadRequest, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// deviceFailedError gives the reason device_failed to an error without a reason.
type deviceFailedError struct{ error }

func (e *deviceFailedError) Unwrap() error { return e.error }

// ReasonWord is the reason for programs.
func (e *deviceFailedError) ReasonWord() string { return operate.DeviceFailed }

func withReason(err error) error {
	if operate.ReasonOf(err) == operate.Broken {
		return &deviceFailedError{err}
	}
	return err
}

func runVerb[D any](
	ctx context.Context, in *Instance, d D, verbs map[string]verb[D], c operate.DeviceCall, show func(string),
) (any, error) {
	v, ok := verbs[c.Verb]
	if !ok {
		return nil, badCall("", "device %s cannot %q", c.Device, c.Verb)
	}
	defer clear(c.Args) // the arguments may hold a passphrase
	return v(ctx, in, d, c.Args, show)
}

// with decodes a verb's arguments.
func with[D, A any](f func(ctx context.Context, in *Instance, d D, args A, show func(string)) (any, error)) verb[D] {
	return func(ctx context.Context, in *Instance, d D, raw json.RawMessage, show func(string)) (any, error) {
		var args A
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &args); err != nil {
				return nil, badCall("", "the call's arguments: %v", err)
			}
		}
		return f(ctx, in, d, args, show)
	}
}

// near refuses a far level for a device's own mark: a mark of a gadget never comes down again.
func (in *Instance) near(ctx context.Context, level int32, far bool) error {
	if far {
		return nil
	}
	in.node.Heads().Find(ctx)
	limit, err := in.Signer.LimitOfAll()
	if err != nil || limit.Allows(level) {
		return err
	}
	return &operate.Refusal{
		Reason: string(hwm.TooFar), Text: fmt.Sprintf("level %d is %s", level, limit.Distance(level)),
		Hint: "look at the level again; if the level is right: --far",
	}
}
