package operate

import (
	"fmt"

	"highwater/internal/tezos"
	"highwater/internal/words"
)

// LastRun is how the run before this one ended, and what it cost.
type LastRun struct {
	Ended string `json:"ended"` // new, clean, killed, cut
	// Why the exact marks of the run were not found; empty where they were not needed.
	Why string `json:"why,omitempty"`
	// Floors are the keys that sign nothing at or below a horizon.
	Floors []HorizonFloor `json:"floors"`
}

// HorizonFloor is the horizon of a key that became its floor.
type HorizonFloor struct {
	Chain tezos.ChainID       `json:"chain"`
	PKH   tezos.PublicKeyHash `json:"pkh"`
	Level int32               `json:"level"` // nothing at or below
}

// Line is one sentence for people.
func (l LastRun) Line() string {
	switch l.Ended {
	case "clean":
		return "ended in order: nothing was lost"
	case "killed":
		return "was killed: nothing was lost"
	case "cut":
		if len(l.Floors) == 0 {
			return "did not end in order: nothing was lost"
		}
		text := fmt.Sprintf("did not end in order: of %s the levels up to the horizon are not signed", words.Count(len(l.Floors), "key"))
		if l.Why != "" {
			text += " (" + l.Why + ")"
		}
		return text
	}
	return "none that is known of"
}
