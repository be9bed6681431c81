// Package wire is how two instances of a pair speak: the messages, their bounds, and the mutually authenticated HTTPS
// between the two. It knows nothing of what a message means for the right to sign.
package wire

import (
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Protocol is the version that both sides must speak.
const Protocol = 2

// Bounds of what comes from the other side.
const (
	maxMessage = 4 << 20 // marks of some ten thousand keys
	maxNonce   = 64      // characters
	// MaxMarks is how many watermarks one message may carry.
	MaxMarks = 30_000
	// MaxBroken is the length of Hello.Broken, in bytes.
	MaxBroken = 500
	// MaxEpoch keeps an epoch that nobody reached from becoming the newest for good: no other epoch could follow it.
	MaxEpoch = 1 << 53
)

// The verbs of a question. Each is a path under /v1/.
const (
	Status  = "status"  // the role, the marks and the keys of the other side
	Follow  = "follow"  // the same marks, as a stream
	Release = "release" // to give the right to sign away
	Invite  = "invite"  // to ask for the right to sign
)

// Hello is what every message says first: who speaks, and what it knows of the right to sign.
type Hello struct {
	Protocol int            `json:"protocol"`
	Chain    tezos.ChainID  `json:"chain"`
	From     hwm.InstanceID `json:"from"`
	Life     string         `json:"life"` // of the process that speaks
	Role     hwm.Role       `json:"role"`
	Epoch    uint64         `json:"epoch"`   // the newest that it knows
	Owner    hwm.InstanceID `json:"owner"`   // of that epoch
	Signing  bool           `json:"signing"` // requests are let in now
	Now      time.Time      `json:"now"`
	// Broken is what is wrong with its disk, for people; empty: nothing. An instance that says so signs nothing more in
	// its life, and cannot write down what it hears.
	Broken string `json:"broken,omitempty"`
}

// Question is what is asked of the other instance.
type Question struct {
	Hello
	To     hwm.InstanceID `json:"to"`
	Nonce  string         `json:"nonce,omitempty"`   // of this process's life; the answer repeats it
	DryRun bool           `json:"dry_run,omitempty"` // of a release or an invitation: say what would happen
	At     *int32         `json:"at,omitempty"`      // of a release or an invitation: the cut-over level
	Seen   uint64         `json:"seen,omitempty"`    // the newest epoch that it heard the asked with
	// Activating is said by an operator's activation, which the answer lets sign.
	Activating bool `json:"activating,omitempty"`
	Probe      bool `json:"probe,omitempty"` // asked to see who answers, in the middle of a question of the other side
}

// Answer is what comes back. A refusal stands alone.
type Answer struct {
	Hello
	Nonce       string       `json:"nonce,omitempty"`
	Status      *Report      `json:"status,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"`
	Handover    *Handover    `json:"handover,omitempty"`
	Refusal     *Refusal     `json:"refusal,omitempty"`
}

// Report is the answer to a status: what the other side has. Marks alone are also what is followed.
type Report struct {
	Why        string      `json:"why"`
	Since      time.Time   `json:"since"`
	Seen       uint64      `json:"seen"`       // the newest epoch that it heard the asker with
	Activating bool        `json:"activating"` // an operator is activating it for the first time just now
	Marks      []Mark      `json:"marks"`
	Keys       []KeyReport `json:"keys"`
	Head       *int32      `json:"head,omitempty"` // of its node; null when it has none that is in step
	Build      string      `json:"build"`
	// SignsUpTo is the level up to which it signs in the asker's epoch; null: it is no giver of a release by level.
	SignsUpTo *int32 `json:"signs_up_to,omitempty"`
}

// Mark is a watermark without what made it.
type Mark struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Kind   tezos.Kind          `json:"kind"`
	Level  int32               `json:"level"`
	Round  int32               `json:"round"`
	Source hwm.Source          `json:"source"`
}

// Handover is what came of a handover to which the other instance was invited.
type Handover struct {
	Done     bool           `json:"done"`
	Findings []Finding      `json:"findings"`
	From     hwm.InstanceID `json:"from"`
	To       hwm.InstanceID `json:"to"`
	Epoch    uint64         `json:"epoch"` // after the handover, when it is done
	At       *int32         `json:"at,omitempty"`
	GapMS    float64        `json:"gap_ms"` // the time in which nobody signed, in milliseconds
}

// Finding is one line of the other instance's checklist. Its name is the line's identifier.
type Finding struct {
	Name   string `json:"name"`
	Result string `json:"result"` // ok, warning, bad, waiting
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// KeyReport is a key and whether it could sign now.
type KeyReport struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Health string              `json:"health"`
}
