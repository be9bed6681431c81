package signer

import (
	"cmp"
	"slices"
	"strings"

	"highwater/internal/device"
)

// KeyReason says in one word why a key cannot sign here now. For a device that is not ready the word is the device's
// health: absent, locked, wrong_app, no_app, busy, broken.
type KeyReason string

// The reasons beside the health of a device.
const (
	KeyStore    KeyReason = "store"       // no mark can be made durable any more
	KeyStandby  KeyReason = "standby"     // the right to sign is not here
	KeyFenced   KeyReason = "fenced"      // the instance ended signing by itself
	KeyWaiting  KeyReason = "waiting"     // the role is active, and requests are not let in
	KeyNoDevice KeyReason = "no_device"   // the devices that could hold the key are ready, and do not hold the key
	KeyOtherUse KeyReason = "cannot_sign" // the device holds the key, and cannot sign an allowed kind with the key
	KeyNoMark   KeyReason = "no_mark"     // a kind that the key may sign has no mark
	KeyLevel    KeyReason = "level"       // the marks exist, and the next level would be refused all the same
)

// KeyFault is a reason why a key cannot sign here now.
type KeyFault struct {
	Reason KeyReason `json:"reason"`
	Device string    `json:"device,omitempty"` // the faulty device; empty: none in particular
	Text   string    `json:"text"`
	Hint   string    `json:"hint,omitempty"` // advice; may be empty
	// Note marks a fault worth knowing that is no reason against readiness: the key is not in service yet.
	Note bool `json:"note,omitempty"`
	// Health is set for a fault between this machine and its devices: of the device, or of the key on the device.
	Health device.Health `json:"health,omitempty"`

	// Level says more of a fault of the level.
	Level *LevelHealth `json:"-"`

	cause error // as a request is told of a device's fault
}

// ofInstance tells a fault of all keys alike.
func (f KeyFault) ofInstance() bool {
	return slices.Contains([]KeyReason{KeyStore, KeyStandby, KeyFenced, KeyWaiting}, f.Reason)
}

// OfDevice tells a fault between this machine and its devices.
func (f KeyFault) OfDevice() bool { return f.Health != "" }

// Word is the fault in one word; for a fault of a device, its health.
func (f KeyFault) Word() string { return cmp.Or(string(f.Health), string(f.Reason)) }

// Advice is the advice in one line, beside Device and Word.
func (f KeyFault) Advice() string {
	switch {
	case f.Hint == "":
		return strings.TrimPrefix(f.Text, f.Word()+": ")
	case string(f.Reason) == string(f.Health): // the device's own advice
		return f.Hint
	}
	return f.Text + ": " + f.Hint
}
