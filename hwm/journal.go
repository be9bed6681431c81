package hwm

import "time"

// JournalEntry is a deliberate act that is kept for good: a change of role, a mark lowered, a ceiling lifted.
type JournalEntry struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"` // active, standby or fenced (the new role), lower, lift
	What   string    `json:"what"`
	Why    string    `json:"why"`
}
