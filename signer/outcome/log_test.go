package outcome_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/signer/outcome"
	"highwater/signer/refusal"
)

// watch is a log that counts its lines, and those written with the lock in hand.
type watch struct {
	slog.Handler
	free         func() bool
	lines, under *int
}

func (w watch) Enabled(context.Context, slog.Level) bool { return true }

func (w watch) Handle(context.Context, slog.Record) error {
	*w.lines++
	if !w.free() {
		*w.under++
	}
	return nil
}

// TestARefusalIsLoggedWithoutTheLock: nobody waits for a log behind the count of refusals.
func TestARefusalIsLoggedWithoutTheLock(t *testing.T) {
	var lines, under int
	b := &outcome.Book{Observe: func(outcome.Outcome) {}, Now: time.Now}
	b.Log = slog.New(watch{slog.DiscardHandler, b.LockFree, &lines, &under})
	b.End(b.Begin(t.Context(), tezos.ChainID{}, tezos.PublicKeyHash{}),
		tezos.Signature{}, &refusal.Denial{Reason: refusal.NotActive, Text: "on standby"})
	require.Equal(t, 2, lines, "the request's own line, and the sum")
	require.Zero(t, under)
}
