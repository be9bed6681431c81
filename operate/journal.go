package operate

import (
	"context"
	"fmt"

	"highwater/hwm"
)

// Journal gives the acts with their reasons, oldest first. The first entry says how many older entries are gone, if any.
func (l *Local) Journal(context.Context) ([]hwm.JournalEntry, error) {
	entries := []hwm.JournalEntry{}
	if l.Acts != nil {
		entries = append(entries, l.Acts()...)
	}
	if l.Forgotten != nil && l.Forgotten() > 0 && len(entries) > 0 {
		gone := hwm.JournalEntry{
			At: entries[0].At, Action: "thinned",
			What: fmt.Sprintf("%d older entries are gone: the journal keeps the newest %d", l.Forgotten(), len(entries)),
		}
		entries = append([]hwm.JournalEntry{gone}, entries...)
	}
	return entries, nil
}
