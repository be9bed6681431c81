package operate

import (
	"fmt"
	"time"

	"highwater/guard"
	"highwater/internal/hints"
	"highwater/internal/tezos"
)

// Guard is how the guard does, which looks on chain for what our keys signed and this instance did not.
type Guard struct {
	State string     `json:"state"`           // one of GuardStates
	Why   string     `json:"why,omitempty"`   // it is off or blind
	Hint  string     `json:"hint,omitempty"`  // what to do about it
	Since *time.Time `json:"since,omitempty"` // blind since
	Head  *int32     `json:"head"`            // level of the last block that it looked at; null before the first
	At    *time.Time `json:"at"`              // when
	// Finding is what it saw, and where; null when that is nothing in this epoch, or of an earlier run: then the role's reason has it.
	Finding *GuardFinding `json:"finding"`
}

// GuardFinding is what a key of ours signed and this instance did not.
type GuardFinding struct {
	PKH        tezos.PublicKeyHash `json:"pkh"`
	Kind       tezos.Kind          `json:"kind"`
	Level      int32               `json:"level"`
	Round      int32               `json:"round"`
	Block      string              `json:"block"` // hash of the block that has it
	BlockLevel int32               `json:"block_level"`
	Epoch      uint64              `json:"epoch"`
	Text       string              `json:"text"`
}

// States of the guard.
const (
	GuardOff      = "off"      // there is no node to look at the chain with
	GuardStarting = "starting" // no head was heard yet
	GuardIdle     = "idle"     // this instance does not sign, so there is nothing to guard
	GuardWatching = "watching"
	GuardBlind    = "blind"
)

// GuardStates lists them.
var GuardStates = []string{GuardOff, GuardStarting, GuardIdle, GuardWatching, GuardBlind}

func (l *Local) guarded() Guard {
	switch {
	case l.Guard == nil && !l.Running:
		return Guard{State: GuardOff, Why: "the daemon does not run"}
	case l.Guard == nil:
		return Guard{State: GuardOff, Why: "no node is configured", Hint: "set `node` in the configuration to your octez node"}
	}
	return guardOf(l.Guard.Status())
}

func guardOf(st guard.Status) Guard {
	g := Guard{State: GuardIdle}
	if !st.At.IsZero() {
		level, at := st.Head.Level, st.At
		g.Head, g.At = &level, &at
	}
	switch {
	case st.Err != nil:
		since := st.Since
		g.State, g.Why, g.Since = GuardBlind, st.Err.Error(), &since
		g.Hint = hints.Of(st.Err)
	case st.Watching:
		g.State = GuardWatching
	case g.At == nil:
		g.State = GuardStarting
	}
	if f := st.Finding; f != nil {
		g.Finding = &GuardFinding{
			PKH: f.Key, Kind: f.Kind, Level: f.Place.Level, Round: f.Place.Round, Block: f.Block.Hash.BlockHash(), BlockLevel: f.Block.Level,
			Epoch: f.Epoch, Text: f.String(),
		}
	}
	return g
}

// Line is the state in one line, for people.
func (g Guard) Line() string {
	at := ""
	if g.Head != nil {
		at = fmt.Sprintf("; it looked last at level %d, %s", *g.Head, g.At.UTC().Format("2006-01-02 15:04:05Z"))
	}
	switch g.State {
	case GuardBlind:
		return fmt.Sprintf("blind since %s: %s%s", g.Since.UTC().Format("2006-01-02 15:04:05Z"), g.Why, at)
	case GuardWatching:
		return "watching the chain" + at
	case GuardIdle:
		return "idle: this instance does not sign, so there is nothing to guard" + at
	case GuardStarting:
		return "starting: no head was heard from the node yet"
	}
	return g.State + ": " + g.Why
}
