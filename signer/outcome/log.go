package outcome

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer/refusal"
)

// Book is where requests are taken down.
type Book struct {
	Log     *slog.Logger
	Observe func(Outcome) // told of every outcome
	Now     func() time.Time
	refused refusals
}

// Begin opens the record of a request for a key on a chain.
func (b *Book) Begin(ctx context.Context, chain tezos.ChainID, pkh tezos.PublicKeyHash) *Record {
	out := &Record{o: Outcome{PKH: pkh, Chain: chain}, start: time.Now()}
	if r, ok := ctx.Value(senderKey{}).(*sender); ok {
		out.sender, out.o.RequestID, out.o.Client = r, r.id, r.client
	}
	return out
}

// End tells of a request: one line for each decision.
func (b *Book) End(out *Record, sig tezos.Signature, err error) {
	out.mu.Lock()
	o := out.o
	out.mu.Unlock()
	o.Duration = time.Since(out.start)
	o.Signature, o.Err, o.Reason = sig, err, refusal.ReasonOf(err)
	if err != nil {
		o.Decision = "failed"
		if refusal.Refused(err) {
			o.Decision = "refused"
		}
	}
	b.Observe(o)
	line := func() { out.Tell(); b.line(o) }
	if out.sender == nil {
		line()
		return
	}
	out.sender.line = line
}

// line writes a request into the log.
func (b *Book) line(o Outcome) {
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
	case o.Reason == refusal.NotActive: // a baker asks for all its keys, all day
		b.Log.LogAttrs(ctx, slog.LevelDebug, "refused", withError(attrs, o.Err)...)
		b.sumUp(o.Err.Error())
	case o.Err != nil && o.Decision == "refused":
		b.Log.LogAttrs(ctx, slog.LevelWarn, "refused", withError(attrs, o.Err)...)
	case o.Err != nil:
		b.Log.LogAttrs(ctx, slog.LevelError, "failed", withError(attrs, o.Err)...)
	case o.Warning != "":
		b.Log.LogAttrs(ctx, slog.LevelWarn, "signed", append(attrs, slog.String("warning", o.Warning))...)
	default:
		b.Log.LogAttrs(ctx, slog.LevelInfo, "signed", attrs...)
	}
}

// withError adds an error in words, and its advice: octez-baker shows no text of a 400, so the log must have both.
func withError(attrs []slog.Attr, err error) []slog.Attr {
	attrs = append(attrs, slog.String("error", err.Error()))
	if hint := hints.Of(err); hint != "" {
		attrs = append(attrs, slog.String("hint", hint))
	}
	return attrs
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

// note counts one, and gives how many a line is due for; zero: none is due. The first with a new text has a line at
// once.
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
func (b *Book) sumUp(text string) {
	if due := b.refused.note(text, b.Now()); due > 0 {
		b.Log.Info("requests refused: the instance does not sign", "requests", due, "error", text)
	}
}
