package daemon

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/audit"
	"highwater/internal/config"
	"highwater/internal/tezos"
	"highwater/signer"
)

// TestDecisionOfAnOutcome: a floor, no mark, a moved mark; and requests that share the bounded room of strangers.
func TestDecisionOfAnOutcome(t *testing.T) {
	o := signer.Outcome{
		Kind: tezos.Block, Level: 9, Round: 2, Client: "10.0.0.1", Decision: "signed", Device: "left", Moved: true,
		Marked: true, Before: hwm.Position{Level: 8, Round: 1}, Duration: time.Second, Digest: [32]byte{5},
	}
	d := decisionOf(o)
	require.Equal(t, audit.Place{Level: 8, Round: 1}, d.Before)
	require.Equal(t, []any{true, false, "10.0.0.1", "signed", "left", time.Second, o.Digest, int32(9), int32(2)},
		[]any{d.Moved, d.Stranger, d.Client, d.Verdict, d.Device, d.Took, d.Digest, d.Level, d.Round})
	o.Marked = false
	require.Equal(t, audit.NoPlace, decisionOf(o).Before)
	for reason, stranger := range map[string]bool{
		signer.UnknownKey: true, signer.WrongChain: true, string(hwm.TooFar): true, "bad_payload": true,
		string(hwm.Conflict): false, signer.NotActive: false, "timeout": false,
	} {
		require.Equal(t, stranger, decisionOf(signer.Outcome{Reason: reason}).Stranger, reason)
	}
}

func TestNoAuditLog(t *testing.T) {
	cfg := &config.Config{}
	require.NotNil(t, newAudit(cfg, "", Options{Running: true}))
	require.Nil(t, newAudit(cfg, "", Options{}), "a command writes nothing")
	cfg.Audit.MaxSize = new(config.Size)
	require.Nil(t, newAudit(cfg, "", Options{Running: true}))
}

// BenchmarkObserve is the cost of an observed request, without and with the audit log, which is written meanwhile.
func BenchmarkObserve(b *testing.B) {
	log := audit.New(audit.Config{Dir: b.TempDir(), MaxSize: 1 << 30, Log: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { log.Run(ctx); close(done) }()
	o := signer.Outcome{Kind: tezos.Block, Level: 9, Decision: "refused", Reason: "not_above", Err: errors.New("no")}
	for _, c := range []struct {
		name string
		log  *audit.Log
	}{{"off", nil}, {"on", log}} {
		observe := Options{Running: true}.observing(&config.Config{}, nil, c.log)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				observe(o)
			}
		})
	}
	stop()
	<-done
}
