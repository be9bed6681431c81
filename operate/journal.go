package operate

import (
	"context"

	"highwater/hwm"
)

// Journal gives the acts with their reasons, oldest first.
func (l *Local) Journal(context.Context) ([]hwm.JournalEntry, error) {
	entries := []hwm.JournalEntry{}
	if l.Acts != nil {
		entries = append(entries, l.Acts()...)
	}
	return entries, nil
}
