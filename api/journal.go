package api

import (
	"context"
	"net/http"

	"highwater/hwm"
)

// Journaler tells the deliberate acts that the watermark file keeps.
type Journaler interface {
	// Journal gives the acts with their reasons, oldest first: changes of role, marks that were lowered, ceilings that were lifted.
	Journal(ctx context.Context) ([]hwm.JournalEntry, error)
}

// Journal gives the acts with their reasons, oldest first.
func (l *Local) Journal(context.Context) ([]hwm.JournalEntry, error) {
	entries := []hwm.JournalEntry{}
	if l.Acts != nil {
		entries = append(entries, l.Acts()...)
	}
	return entries, nil
}

// Journal gives the acts with their reasons, oldest first.
func (c *Client) Journal(ctx context.Context) ([]hwm.JournalEntry, error) {
	return call[[]hwm.JournalEntry](ctx, c, http.MethodGet, "/v1/journal", nil)
}
