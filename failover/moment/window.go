// Package moment finds a good moment for a pause of signing, or for a handover: no block of our keys is near, and the
// peer is ready. A moment is advice: the protection against two signers does not depend on the moment.
package moment

import (
	"fmt"
	"time"

	"highwater/failover/wire"
)

// Window says how a moment is searched.
type Window struct {
	// Blocks is how many of the next levels are to be free of blocks of ours; zero: DefaultQuiet.
	Blocks int `json:"blocks"`
	// Within is how many levels the search may still wait. Without a gap of the full length, the best gap that begins
	// within these levels is taken.
	Within int `json:"within"`
	// Alone leaves the peer out of the search: nobody is to sign during the pause.
	Alone bool `json:"alone,omitempty"`
}

// Bounds of a window, in levels.
const (
	DefaultQuiet = 3
	MaxQuiet     = 100  // ten minutes
	MaxWithin    = 1000 // nobody waits longer; rights are asked for chain.MaxAhead levels at most
	// MaxBehind is how far the peer's node, or the marks of the side that does not sign, may be behind.
	MaxBehind = 2
)

// BlockTime is the time of a level at round 0, on mainnet, for estimates.
const BlockTime = 6 * time.Second

// Check refuses a window that is out of its bounds.
func (w Window) Check() error {
	if w.Blocks < 0 || w.Blocks > MaxQuiet || w.Within < 0 || w.Within > MaxWithin {
		return wire.Refuse(wire.BadLevel, fmt.Sprintf("between 1 and %d blocks are waited for", MaxQuiet),
			"a window of %d blocks within %d", w.Blocks, w.Within)
	}
	return nil
}

// filled puts the default in the place of a zero.
func (w Window) filled() Window {
	if w.Blocks == 0 {
		w.Blocks = DefaultQuiet
	}
	return w
}
