// Package device is what the signer and its device drivers say to each other: the words for a device's health, the keys and
// marks that it reports, typed errors, and Owner, which keeps one device connected and lets one user at a time near it.
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
	Absent   Health = "absent"    // not connected, or not answering where it should be
	Locked   Health = "locked"    // wants its PIN, or its passphrase
	WrongApp Health = "wrong_app" // a Ledger with another application open
	NoApp    Health = "no_app"    // a Ledger at its dashboard
	Busy     Health = "busy"      // a prompt is on its screen, or an answer is still to come
	Broken   Health = "broken"    // wedged or inconsistent: needs a human
)

// Status is a device's health and what to do about it.
type Status struct {
	Health Health    `json:"health"`
	Advice string    `json:"advice,omitempty"` // one line: what to do; empty when ready
	Detail string    `json:"detail,omitempty"` // the technical cause; when ready, what should be known all the same: see Note
	Since  time.Time `json:"since"`
	Model  string    `json:"model,omitempty"` // "Ledger Nano S+", "TezSign"
	App    string    `json:"app,omitempty"`   // application or firmware version
	ID     string    `json:"id,omitempty"`    // what pins it: serial, or four-word name
	Where  string    `json:"where,omitempty"` // transport address: bus and port, host:port, "sim"
	Alarm  string    `json:"alarm,omitempty"` // set when the device's own marks went backwards or are corrupted
}

// Note is what an operator should know of a device that is ready. It is empty for one that is not: Detail is the cause then.
func (s Status) Note() string {
	if s.Health == Ready {
		return s.Detail
	}
	return ""
}

// Remarks are the alarm, the advice and the note, as far as there are: what each screen shows of a device.
func (s Status) Remarks() []string {
	return slices.DeleteFunc([]string{s.Alarm, s.Advice, s.Note()}, func(text string) bool { return text == "" })
}

// Key is a key that a device holds.
type Key struct {
	PublicKey *tezos.PublicKey
	// Alias is the device's name for the key: a TezSign key id, or a Ledger locator (curve and path).
	Alias string
	// Kinds that the device can sign with this key; a Ledger cannot sign tz4 operations.
	Kinds []tezos.Kind
	// Usable is empty, or says why this key cannot sign now ("locked: …").
	Usable string
}

// Mark is a watermark that a device reports of itself.
type Mark struct {
	PKH tezos.PublicKeyHash `json:"pkh"`
	// Kind is zero when the mark covers all kinds (Ledger).
	Kind  tezos.Kind `json:"kind"`
	Level int32      `json:"level"`
	Round int32      `json:"round"`
}

// Error is what went wrong between host and device. Whether it can be absorbed is in Retry.
type Error struct {
	Device string // the device's name
	Health Health // the state that the error shows
	Hint   string // what the operator does about it; may be empty
	Retry  bool   // the device may come back by itself: wait for it and ask again for the same bytes
	Asked  bool   // the payload may have reached the device: it may have signed
	Err    error
}

func (e *Error) Error() string {
	if e.Device == "" {
		return e.Err.Error()
	}
	return fmt.Sprintf("device %s: %v", e.Device, e.Err)
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// HintText is what the operator does about it.
func (e *Error) HintText() string { return e.Hint }

// ErrRefused is wrapped in errors that say that the device itself refused: its own watermark, its policy. It is final for
// these bytes.
var ErrRefused = errors.New("the device refused to sign")

// ErrNoKey is wrapped when the device does not hold the key that was asked for.
var ErrNoKey = errors.New("the device does not hold this key")
