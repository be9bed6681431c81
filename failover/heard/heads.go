package heard

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/tezos"
)

// Chain is the octez node, as far as the node is evidence. Chain may be asked often.
type Chain interface {
	Head(ctx context.Context) (chain.Head, error)
	Silence(ctx context.Context, keys []tezos.PublicKeyHash) (chain.Silence, error)
	// Rights tells of the duties of keys at the head, and at the levels that follow, ahead of them.
	Rights(ctx context.Context, keys []tezos.PublicKeyHash, head int32, ahead int) (chain.Rights, error)
}

// Heads keeps the newest head of our octez node. Heads is safe for concurrent use, and holds no lock.
type Heads struct {
	Chain   // nil: no node is configured
	ID      tezos.ChainID
	Now     func() time.Time
	Log     *slog.Logger
	Timeout time.Duration // of one question

	newest atomic.Pointer[hwm.Known]
	told   atomic.Pointer[int32] // the level for the peer's checklists; nil while the node is not in step
}

// Known is the newest head of our octez node's answers, nil without an answer. Known asks nobody.
func (h *Heads) Known() *hwm.Known { return h.newest.Load() }

// Saw keeps a head of our chain as the newest.
func (h *Heads) Saw(level int32, at time.Time) {
	h.newest.Store(&hwm.Known{Level: level, At: at, Node: true})
}

// Find asks our octez node for the head before an operator's act, if a node is configured and no head is known yet.
// Without an answer no head is known, and the marks and the time must do.
func (h *Heads) Find(ctx context.Context) {
	if h.Chain == nil || h.Known() != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	if _, err := h.ask(ctx); err != nil {
		h.Log.Warn("the node did not tell of a head", "error", err.Error())
	}
}

// ask asks the node, and keeps a head of our chain.
func (h *Heads) ask(ctx context.Context) (chain.Head, error) {
	got, err := h.Head(ctx)
	if err == nil && got.Chain == h.ID && got.Level > 0 {
		h.Saw(got.Level, h.Now().Add(-got.Age))
	}
	return got, err
}

// Tell asks the node for the head in this instance's reports to the peer.
func (h *Heads) Tell(ctx context.Context) {
	if h.Chain == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	got, err := h.ask(ctx)
	if err != nil || got.Chain != h.ID || !got.Synced {
		h.told.Store(nil)
		return
	}
	h.told.Store(&got.Level)
}

// Check is chain.Check of our node. A good head is kept.
func (h *Heads) Check(ctx context.Context) (checklist.Line, chain.Head) {
	f, got := chain.Check(ctx, h.Chain, h.ID)
	if f.Result == checklist.OK {
		h.Saw(got.Level, h.Now().Add(-got.Age))
	}
	return f, got
}

// Told is the level of the last head for the peer; nil while the node is not in step.
func (h *Heads) Told() *int32 { return h.told.Load() }
