// Package heldlog keeps log lines back during a lock, and writes the lines once the lock is free.
package heldlog

import (
	"context"
	"log/slog"
	"sync"
)

// Lines are the lines kept back. The zero value is ready. Lines is safe for concurrent use.
type Lines struct {
	mu      sync.Mutex
	holders int
	waiting []line
}

type line struct {
	ctx context.Context //nolint:containedctx // of the line, for its handler
	to  slog.Handler
	slog.Record
}

// Hold keeps lines back from now on. The caller holds a lock, and calls Release once the lock is free.
func (l *Lines) Hold() {
	l.mu.Lock()
	l.holders++
	l.mu.Unlock()
}

// Release ends one Hold. The last Release writes the lines in order, outside of any lock.
func (l *Lines) Release() {
	l.mu.Lock()
	l.holders--
	var due []line
	if l.holders == 0 {
		due, l.waiting = l.waiting, nil
	}
	l.mu.Unlock()
	for _, w := range due {
		_ = w.to.Handle(w.ctx, w.Record) // slog drops this error as well
	}
}

// Logger writes to log, except during a Hold: such lines wait. A line has the time at which the line was made.
func (l *Lines) Logger(log *slog.Logger) *slog.Logger { return slog.New(handler{log.Handler(), l}) }

type handler struct {
	slog.Handler
	lines *Lines
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if h.lines.wait(line{ctx, h.Handler, r}) {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.lines}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.lines}
}

// wait keeps a line, and tells whether anybody holds.
func (l *Lines) wait(w line) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.holders == 0 {
		return false
	}
	w.Record = w.Clone()
	l.waiting = append(l.waiting, w)
	return true
}
