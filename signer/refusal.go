package signer

import "highwater/signer/refusal"

// The errors of Sign that are its own: see package refusal.
type (
	Denial              = refusal.Denial
	TimeoutError        = refusal.TimeoutError
	WrongSignatureError = refusal.WrongSignatureError
	Stage               = refusal.Stage
)

// Reasons of denials.
const (
	UnknownKey = refusal.UnknownKey
	NotActive  = refusal.NotActive
	WrongChain = refusal.WrongChain
	WrongKind  = refusal.WrongKind
	SlowDisk   = refusal.SlowDisk
	StoreFails = refusal.StoreFails
)

// The stages.
const (
	StageQueue  = refusal.StageQueue
	StageDevice = refusal.StageDevice
	StageDisk   = refusal.StageDisk
	StageRight  = refusal.StageRight
)

// ReasonOf says in one word why a request got no signature; empty for nil.
func ReasonOf(err error) string { return refusal.ReasonOf(err) }

// Refused tells whether err is a decision rather than a breakage.
func Refused(err error) bool { return refusal.Refused(err) }
