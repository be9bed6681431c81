package operate

import (
	"fmt"

	"highwater/internal/tezos"
	"highwater/internal/words"
)

// LastRun tells how the previous run ended, and the cost.
type LastRun struct {
	Ended string `json:"ended"` // new, clean, killed, cut
	// Why tells the reason for not finding the exact marks of the run; empty where no exact marks were needed.
	Why string `json:"why,omitempty"`
	// Floors are the keys with a horizon as their floor.
	Floors []HorizonFloor `json:"floors"`
}

// HorizonFloor is a horizon turned floor: the key signs nothing at or below the level.
type HorizonFloor struct {
	Chain tezos.ChainID       `json:"chain"`
	PKH   tezos.PublicKeyHash `json:"pkh"`
	Level int32               `json:"level"` // the key signs nothing at or below
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
		text := fmt.Sprintf("did not end in order: of %s the levels up to the horizon are not signed",
			words.Count(len(l.Floors), "key"))
		if l.Why != "" {
			text += " (" + l.Why + ")"
		}
		return text
	}
	return "no earlier run is known"
}
