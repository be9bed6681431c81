package operate

import (
	"fmt"
	"time"

	"highwater/guard"
	"highwater/internal/hints"
	"highwater/internal/tezos"
)

// Guard is the state of the guard. The guard searches the chain for signatures of our keys not made by this instance.
type Guard struct {
	State string     `json:"state"`           // one of GuardStates
	Why   string     `json:"why,omitempty"`   // why the guard is off or blind
	Hint  string     `json:"hint,omitempty"`  // what to do
	Since *time.Time `json:"since,omitempty"` // blind since
	Head  *int32     `json:"head"`            // level of the last block seen; null before the first block
	At    *time.Time `json:"at"`              // time of the last block seen
	// Finding is a signature of a twin, and its place; null while none was found by this run in this epoch. The reason
	// of the role keeps findings of earlier runs.
	Finding *GuardFinding `json:"finding"`
}

// GuardFinding is a signature of a key of ours, not made by this instance.
type GuardFinding struct {
	PKH        tezos.PublicKeyHash `json:"pkh"`
	Kind       tezos.Kind          `json:"kind"`
	Level      int32               `json:"level"`
	Round      int32               `json:"round"`
	Block      string              `json:"block"` // hash of the block with the signature
	BlockLevel int32               `json:"block_level"`
	Epoch      uint64              `json:"epoch"`
	Text       string              `json:"text"`
}

// States of the guard.
const (
	GuardOff      = "off"      // no node is configured to read the chain from
	GuardStarting = "starting" // the node has sent no head yet
	GuardIdle     = "idle"     // this instance does not sign, and has nothing to guard
	GuardWatching = "watching"
	GuardBlind    = "blind"
)

// GuardStates lists the states of the guard.
var GuardStates = []string{GuardOff, GuardStarting, GuardIdle, GuardWatching, GuardBlind}

func (l *Local) guarded() Guard {
	switch {
	case l.Guard == nil && !l.Running:
		return Guard{State: GuardOff, Why: "the daemon does not run"}
	case l.Guard == nil:
		return Guard{
			State: GuardOff, Why: "no node is configured",
			Hint: "set `node` in the configuration to your octez node",
		}
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
			PKH: f.Key, Kind: f.Kind, Level: f.Place.Level, Round: f.Place.Round, Block: f.Block.Hash.BlockHash(),
			BlockLevel: f.Block.Level,
			Epoch:      f.Epoch, Text: f.String(),
		}
	}
	return g
}

// Line is the state in one line, for people.
func (g Guard) Line() string {
	at := ""
	if g.Head != nil {
		at = fmt.Sprintf("; last read level %d, %s", *g.Head, g.At.UTC().Format("2006-01-02 15:04:05Z"))
	}
	switch g.State {
	case GuardBlind:
		return fmt.Sprintf("blind since %s: %s%s", g.Since.UTC().Format("2006-01-02 15:04:05Z"), g.Why, at)
	case GuardWatching:
		return "watching the chain" + at
	case GuardIdle:
		return "idle: this instance does not sign, and needs no guard" + at
	case GuardStarting:
		return "starting: no head was heard from the node yet"
	}
	return g.State + ": " + g.Why
}
