// Package wire is how two instances of a pair speak: the messages, their bounds, and the mutually authenticated HTTPS
// between the two. Package failover knows the meaning of a message for the right to sign.
package wire

import (
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Protocol is the version of both instances.
const Protocol = 2

// Bounds of the peer's messages.
const (
	maxMessage = 4 << 20 // marks of some ten thousand keys
	maxNonce   = 64      // characters
	// MaxMarks is how many watermarks a message may carry.
	MaxMarks = 30_000
	// MaxBroken is the length of Hello.Broken, in bytes.
	MaxBroken = 500
	// MaxEpoch keeps an impossible epoch from becoming the newest for good: no epoch could follow.
	MaxEpoch = 1 << 53
)

// The verbs of a question. Each is a path under /v1/.
const (
	Status  = "status"  // the role, the marks and the keys of the peer
	Follow  = "follow"  // the same marks, as a stream
	Release = "release" // to give the right to sign away
	Invite  = "invite"  // to ask for the right to sign
)

// Hello begins every message: the speaking instance, and its knowledge of the right to sign.
type Hello struct {
	Protocol int            `json:"protocol"`
	Chain    tezos.ChainID  `json:"chain"`
	From     hwm.InstanceID `json:"from"`
	Life     string         `json:"life"` // of the speaking process
	Role     hwm.Role       `json:"role"`
	Epoch    uint64         `json:"epoch"`   // the newest known epoch
	Owner    hwm.InstanceID `json:"owner"`   // of Epoch
	Signing  bool           `json:"signing"` // requests are let in now
	Now      time.Time      `json:"now"`
	// Broken is the fault of the speaker's disk, for people; empty: no fault. An instance with a fault signs nothing
	// more in its life, and cannot write down the words of its peer.
	Broken string `json:"broken,omitempty"`
}

// Question is a question to the peer.
type Question struct {
	Hello
	To     hwm.InstanceID `json:"to"`
	Nonce  string         `json:"nonce,omitempty"`   // of the asker's life; the answer repeats the nonce
	DryRun bool           `json:"dry_run,omitempty"` // of a release or an invitation: nothing changes
	At     *int32         `json:"at,omitempty"`      // of a release or an invitation: the cut-over level
	Seen   uint64         `json:"seen,omitempty"`    // the newest epoch in the answers of To
	// Activating marks a question of an operator's activation: after the answer the asker may sign.
	Activating bool `json:"activating,omitempty"`
	// asks for the name of the answering process, in the middle of a question of To
	Probe bool `json:"probe,omitempty"`
}

// Answer is the answer to a Question. A refusal stands alone.
type Answer struct {
	Hello
	Nonce       string       `json:"nonce,omitempty"`
	Status      *Report      `json:"status,omitempty"`
	Certificate *Certificate `json:"certificate,omitempty"`
	Handover    *Handover    `json:"handover,omitempty"`
	Refusal     *Refusal     `json:"refusal,omitempty"`
}

// Report is the answer to a status. On a stream the report has marks alone.
type Report struct {
	Why        string      `json:"why"`
	Since      time.Time   `json:"since"`
	Seen       uint64      `json:"seen"`       // the newest epoch in the asker's questions
	Activating bool        `json:"activating"` // an operator is in the middle of the first activation
	Marks      []Mark      `json:"marks"`
	Keys       []KeyReport `json:"keys"`
	Head       *int32      `json:"head,omitempty"` // of the answerer's node; null without a node in step
	Build      string      `json:"build"`
	// SignsUpTo is the last level of the answerer in the asker's epoch; null: the answerer made no release by level.
	SignsUpTo *int32 `json:"signs_up_to,omitempty"`
}

// Mark is a watermark without its payload and signature.
type Mark struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Kind   tezos.Kind          `json:"kind"`
	Level  int32               `json:"level"`
	Round  int32               `json:"round"`
	Source hwm.Source          `json:"source"`
}

// Handover is the result of a handover by invitation.
type Handover struct {
	Done     bool           `json:"done"`
	Findings []Finding      `json:"findings"`
	From     hwm.InstanceID `json:"from"`
	To       hwm.InstanceID `json:"to"`
	Epoch    uint64         `json:"epoch"` // after the handover, when done
	At       *int32         `json:"at,omitempty"`
	GapMS    float64        `json:"gap_ms"` // the time without a signer, in milliseconds
}

// Finding is a line of the peer's checklist. Name is the identifier of the line.
type Finding struct {
	Name   string `json:"name"`
	Result string `json:"result"` // ok, warning, bad, waiting
	Detail string `json:"detail"`
	Hint   string `json:"hint,omitempty"`
}

// KeyReport is a key with its health: "ready", or the trouble.
type KeyReport struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Health string              `json:"health"`
}
