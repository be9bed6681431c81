package wire

import (
	"errors"
	"fmt"
)

// Refusal is a decision of the protocol against a step, with a reason for programs and a text for people.
type Refusal struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

func (r *Refusal) Error() string { return r.Text }

// HintText is the advice.
func (r *Refusal) HintText() string { return r.Hint }

// Reasons of refusals.
const (
	WrongVersion = "wrong_version"
	WrongChain   = "wrong_chain"
	WrongKey     = "wrong_key"
	Unreadable   = "unreadable" // a message or a certificate
	FarEpoch     = "far_epoch"  // without a possible history
	Unreachable  = "unreachable"
	NoPeer       = "no_peer"
	NotOwner     = "not_owner"
	NeverActive  = "never_active"
	IsFenced     = "fenced"
	OldState     = "old_state"
	OldOrFloor   = "old_or_floor" // an old state, or a floor of the peer from a certificate by level
	OldAnswer    = "old_answer"
	// SameKey is for two running processes with the same key, SameKeyBefore for the time until an operator's
	// acknowledgement, and OtherLife for a process that may be a second with the key.
	SameKey       = "same_key"
	SameKeyBefore = "same_key_before"
	OtherLife     = "other_life"
	BadLevel      = "bad_level"
	TooFar        = "too_far" // as hwm.TooFar
	NotReady      = "not_ready"
	BadMoment     = "bad_moment" // passes with time
	IsActive      = "active"
	Unstated      = "unstated"
	Broken        = "broken"
	// DiskFails is the reason of an instance after the failure of its disk.
	DiskFails = "disk_fails"
)

// Refuse makes a refusal.
func Refuse(reason, hint, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// NamePeer is the advice to an instance without a peer.
const NamePeer = "name the peer: highwater peer show, on the peer's machine, prints the command for this machine"

// StateHead is the advice where the head of the chain is not known.
const StateHead = "set `node` in the configuration, or state the head of the chain with --head, from an explorer"

// ReleaseCommand writes a certificate, up to the level at its end.
const ReleaseCommand = "highwater release --out handover.json --at"

// unreadable refuses a message or a certificate for its form.
func unreadable(format string, args ...any) *Refusal {
	return Refuse(Unreadable, "run the same version of highwater on both machines, and compare: highwater version",
		format, args...)
}

// RefuseNoPeer is the refusal of an instance without a peer.
func RefuseNoPeer() *Refusal {
	return Refuse(NoPeer, NamePeer, "no peer is configured")
}

// IsRefusal tells a decision from a breakage.
func IsRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}

// AsRefusal makes an error fit to be sent.
func AsRefusal(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return Refuse(Broken, "see: highwater status", "%s", err.Error())
}
