package signer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"highwater/internal/tezos"
)

// line writes a request into the log.
func (s *Signer) line(o Outcome) {
	attrs := []slog.Attr{
		slog.String("request_id", o.RequestID), slog.String("chain", o.Chain.String()), slog.String("pkh", o.PKH.String()),
		slog.String("kind", kindName(o.Kind)), slog.Int64("level", int64(o.Level)), slog.Int64("round", int64(o.Round)),
		slog.String("decision", o.Decision), slog.String("reason", o.Reason), slog.String("device", o.Device),
		slog.Float64("duration_ms", float64(o.Duration.Microseconds())/1000),
	}
	if o.CommitFor >= DiskWait {
		attrs = append(attrs, slog.Float64("disk_ms", float64(o.CommitFor.Microseconds())/1000))
	}
	ctx := context.Background()
	switch {
	case o.Reason == NotActive: // a baker asks for all its keys, all day
		s.log.LogAttrs(ctx, slog.LevelDebug, "refused", append(attrs, slog.String("error", o.Err.Error()))...)
		s.sumUp(o.Err.Error())
	case o.Err != nil && o.Decision == "refused":
		s.log.LogAttrs(ctx, slog.LevelWarn, "refused", append(attrs, slog.String("error", o.Err.Error()))...)
	case o.Err != nil:
		s.log.LogAttrs(ctx, slog.LevelError, "failed", append(attrs, slog.String("error", o.Err.Error()))...)
	case o.Warning != "":
		s.log.LogAttrs(ctx, slog.LevelWarn, "signed", append(attrs, slog.String("warning", o.Warning))...)
	default:
		s.log.LogAttrs(ctx, slog.LevelInfo, "signed", attrs...)
	}
}

func kindName(k tezos.Kind) string {
	if k == 0 {
		return ""
	}
	return k.String()
}

// sumEvery is how often the log tells of requests refused because this instance does not sign.
const sumEvery = 10 * time.Minute

// refusals counts such requests: each has a line at debug only.
type refusals struct {
	mu    sync.Mutex
	text  string // the refusal, as clients are told
	count int    // since the last line
	next  time.Time
}

// note counts one, and gives how many a line is due for; zero: none is due. The first with a new text has a line at once.
func (r *refusals) note(text string, now time.Time) (due int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if text == r.text && now.Before(r.next) {
		return 0
	}
	due = r.count
	r.text, r.count, r.next = text, 0, now.Add(sumEvery)
	return due
}

// sumUp tells of requests refused because this instance does not sign, once for many.
func (s *Signer) sumUp(text string) {
	if due := s.refused.note(text, s.now()); due > 0 {
		s.log.Info("requests refused: this instance does not sign", "requests", due, "error", text)
	}
}
