package signer

import (
	"context"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Outcome is what became of a request, for the log and the metrics.
type Outcome struct {
	RequestID string
	Chain     tezos.ChainID
	PKH       tezos.PublicKeyHash
	Kind      tezos.Kind // zero when the payload was not decoded
	Level     int32
	Round     int32
	Digest    [32]byte // of the payload; zero when it was not decoded
	Decision  string   // signed, replayed, registered, refused, failed
	Reason    string   // one word; empty when signed or replayed
	Warning   string   // tezos.WarnBlockLayout, or empty
	Device    string
	Duration  time.Duration
	DeviceFor time.Duration // the device's own time
	CommitFor time.Duration // waited for the disk after the device was done
	Err       error
}

// outcome is filled along the way; a request whose time ran out is reported while its exchange goes on.
type outcome struct {
	mu    sync.Mutex
	o     Outcome
	start time.Time
}

type requestIDKey struct{}

// WithRequestID gives the requests made with ctx a name in the log.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

func (s *Signer) begin(ctx context.Context, pkh tezos.PublicKeyHash) *outcome {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return &outcome{o: Outcome{RequestID: id, PKH: pkh, Chain: s.chain}, start: time.Now()}
}

func (o *outcome) request(req tezos.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Chain, o.o.Kind, o.o.Level, o.o.Round, o.o.Warning = req.Chain, req.Kind, req.Level, req.Round, req.Warning
	o.o.Digest = req.Digest
}

func (o *outcome) decision(v hwm.Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Decision = "signed"
	if v == hwm.Replay {
		o.o.Decision = "replayed"
	}
}

func (o *outcome) registration() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Decision = "registered"
}

func (o *outcome) device(name string, took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.Device = name
	o.o.DeviceFor += took
}

func (o *outcome) timeCommit(wait func() error) error {
	start := time.Now()
	err := wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.o.CommitFor = time.Since(start)
	return err
}

// end reports a request. One line a decision.
func (s *Signer) end(out *outcome, err error) {
	out.mu.Lock()
	o := out.o
	out.mu.Unlock()
	o.Duration = time.Since(out.start)
	o.Err, o.Reason = err, ReasonOf(err)
	if err != nil {
		o.Decision = "failed"
		if Refused(err) {
			o.Decision = "refused"
		}
	}
	s.observe(o)
	attrs := []any{
		"request_id", o.RequestID, "chain", o.Chain.String(), "pkh", o.PKH.String(), "kind", kindName(o.Kind), "level", o.Level,
		"round", o.Round, "decision", o.Decision, "reason", o.Reason, "device", o.Device,
		"duration_ms", float64(o.Duration.Microseconds()) / 1000,
	}
	switch {
	case err != nil && o.Decision == "refused":
		s.log.Warn("refused", append(attrs, "error", err.Error())...)
	case err != nil:
		s.log.Error("failed", append(attrs, "error", err.Error())...)
	case o.Warning != "":
		s.log.Warn("signed", append(attrs, "warning", o.Warning)...)
	default:
		s.log.Info("signed", attrs...)
	}
}

func kindName(k tezos.Kind) string {
	if k == 0 {
		return ""
	}
	return k.String()
}
