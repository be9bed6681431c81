package hwm

import "time"

// JournalEntry is an act of an operator, or a change of role. An entry of an earlier build has no Who and no Result.
type JournalEntry struct {
	At     time.Time `json:"at"`
	Action string    `json:"action"` // active, standby or fenced (the new role), lower, lift; else an act of an operator
	What   string    `json:"what"`
	Why    string    `json:"why"`
	Who    string    `json:"who,omitempty"`    // the user; empty: the instance itself
	Result string    `json:"result,omitempty"` // done, or refused with the reason
}
