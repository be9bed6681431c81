package signer

import (
	"context"

	"highwater/signer/outcome"
)

// Outcome is the end of a request, for the log and the metrics.
type Outcome = outcome.Outcome

// WithRequest gives a request made with ctx a name in the log: see outcome.WithRequest.
func WithRequest(ctx context.Context, id string) (_ context.Context, report func()) {
	return outcome.WithRequest(ctx, id)
}
