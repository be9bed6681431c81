// Package device is the contract between the signer and its device drivers: the words for a device's health, the
// reported keys and marks, typed errors, and Owner. An Owner keeps one device connected and lends the device to one
// user at a time.
package device

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"highwater/internal/tezos"
)

// Health is one word for the state of a device.
type Health string

// The states. Only Ready signs.
const (
	Ready    Health = "ready"
	Absent   Health = "absent"    // not connected, or not answering at its place
	Locked   Health = "locked"    // wants its PIN, or its passphrase
	WrongApp Health = "wrong_app" // a Ledger with another application open
	NoApp    Health = "no_app"    // a Ledger at the dashboard
	Busy     Health = "busy"      // a prompt is on the screen, or an answer is still to come
	Broken   Health = "broken"    // wedged or inconsistent: needs a human
)

// Status is a device's health, and the advice for an operator.
type Status struct {
	Health Health    `json:"health"`
	Advice string    `json:"advice,omitempty"` // one line: the operator's next step; empty when ready
	Detail string    `json:"detail,omitempty"` // the technical cause; of a ready device, a note: see Note
	Since  time.Time `json:"since"`
	Model  string    `json:"model,omitempty"` // "Ledger Nano S+", "TezSign"
	App    string    `json:"app,omitempty"`   // application or firmware version
	ID     string    `json:"id,omitempty"`    // pins the device: serial, or four-word name
	Where  string    `json:"where,omitempty"` // transport address: bus and port, host:port, "sim"
	Alarm  string    `json:"alarm,omitempty"` // set when the device's own marks went backwards or are corrupted
}

// Note is a remark for the operator about a ready device. Note is empty for a device that is not ready, because
// Detail is the cause of the trouble.
func (s Status) Note() string {
	if s.Health == Ready {
		return s.Detail
	}
	return ""
}

// Remarks are the alarm, the advice and the note, without empty texts: the text that each screen shows of a device.
func (s Status) Remarks() []string {
	return slices.DeleteFunc([]string{s.Alarm, s.Advice, s.Note()}, func(text string) bool { return text == "" })
}

// Key is a key in a device.
type Key struct {
	PublicKey *tezos.PublicKey
	// Alias is the device's name for the key: a TezSign key id, or a Ledger locator (curve and path).
	Alias string
	// Kinds are the kinds of payload that the device can sign with the key. A Ledger cannot sign tz4 operations.
	Kinds []tezos.Kind
	// Usable is empty, or the reason why the key cannot sign now ("locked: …").
	Usable string
}

// Mark is a watermark that a device reports.
type Mark struct {
	PKH tezos.PublicKeyHash `json:"pkh"`
	// Kind is zero when the mark covers all kinds (Ledger).
	Kind  tezos.Kind `json:"kind"`
	Level int32      `json:"level"`
	Round int32      `json:"round"`
}

// Error is a fault between host and device. Retry tells whether waiting can absorb the fault.
type Error struct {
	Device string // the device's name
	Health Health // the state of the device at the error
	Hint   string // the operator's next step; may be empty
	Retry  bool   // the device may come back by itself: wait and ask again for the same bytes
	Asked  bool   // the payload may have reached the device: the device may have signed
	Err    error
}

func (e *Error) Error() string {
	if e.Device == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("device %s: %v", e.Device, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// HintText is the operator's next step.
func (e *Error) HintText() string { return e.Hint }

// ErrRefused is wrapped when the device itself refused: its own watermark, its policy. The refusal is final for the
// payload's bytes.
var ErrRefused = errors.New("the device refused to sign")

// ErrNoKey is wrapped when the device does not hold the requested key.
var ErrNoKey = errors.New("the key is not on the device")
