package signer

import (
	"context"

	"highwater/signer/outcome"
	"highwater/signer/refusal"
)

type (
	// A Denial is a decision not to sign for a reason beside marks: see refusal.Denial.
	Denial = refusal.Denial
	// TimeoutError says where the budget of a request ran out: see refusal.TimeoutError.
	TimeoutError = refusal.TimeoutError
	// WrongSignatureError says that a signature does not verify.
	WrongSignatureError = refusal.WrongSignatureError
	// Stage is how far a request has come.
	Stage = refusal.Stage
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

// FailureReasons are the reasons of a breakage: see refusal.FailureReasons.
var FailureReasons = refusal.FailureReasons

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

// Outcome is the end of a request, for the log and the metrics.
type Outcome = outcome.Outcome

// WithRequest gives a request of a client, made with ctx, a name in the log: see outcome.WithRequest.
func WithRequest(ctx context.Context, id, client string) (_ context.Context, report func()) {
	return outcome.WithRequest(ctx, id, client)
}
