package failover

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Protocol is the version that both sides must speak.
const Protocol = 2

// Bounds of what comes from the other side.
const (
	maxMessage = 4 << 20 // marks of some ten thousand keys
	maxMarks   = 30_000
	maxNonce   = 64 // characters
	maxBroken  = 500
	// maxEpoch keeps an epoch that nobody reached from becoming the newest for good: none could follow it.
	maxEpoch = 1 << 53
	// maxJump is how far an epoch may lie above all that is known here: each handover, activation or takeover is a step of one or two.
	maxJump = 1 << 20
)

// The verbs of a question. Each is a path under /v1/.
const (
	verbStatus  = "status"
	verbFollow  = "follow"
	verbRelease = "release"
	verbFence   = "fence"
	verbInvite  = "invite"
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
	// Broken is what is wrong with its disk, for people; empty: nothing. An instance that says so signs nothing more in its life, and
	// cannot write down what it hears.
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

// KeyReport is a key and whether it could sign now.
type KeyReport struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Health string              `json:"health"`
}

// Refusal is a decision of the protocol not to do something. It is not a breakage.
type Refusal struct {
	Reason string `json:"reason"`
	Text   string `json:"text"`
	Hint   string `json:"hint,omitempty"`
}

func (r *Refusal) Error() string { return r.Text }

// HintText is what to do.
func (r *Refusal) HintText() string { return r.Hint }

// Reasons of refusals.
const (
	WrongVersion = "wrong_version"
	WrongChain   = "wrong_chain"
	WrongKey     = "wrong_key"
	FarEpoch     = "far_epoch" // no history leads to it
	Unreachable  = "unreachable"
	NoPeer       = "no_peer"
	NotOwner     = "not_owner"
	NeverActive  = "never_active"
	IsFenced     = "fenced"
	OldState     = "old_state"
	OldOrFloor   = "old_or_floor" // an old state, or a floor that the other side has from a certificate by level
	OldAnswer    = "old_answer"
	// SameKey is told to two processes that run with one key, SameKeyBefore as long as nobody has acknowledged that there were two, and
	// OtherLife to one that may be such a one.
	SameKey       = "same_key"
	SameKeyBefore = "same_key_before"
	OtherLife     = "other_life"
	BadLevel      = "bad_level"
	TooFar        = "too_far" // as hwm.TooFar
	NotReady      = "not_ready"
	BadMoment     = "bad_moment" // it passes
	IsActive      = "active"
	Unstated      = "unstated"
	Broken        = "broken"
	// DiskFails is said by an instance that cannot make anything durable any more.
	DiskFails = "disk_fails"
)

func refuse(reason, hint, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Text: fmt.Sprintf(format, args...), Hint: hint}
}

// parse reads one message of a bounded length: nothing unknown in it, nothing after it. What a later version says is a Refusal.
func parse[T Question | Answer](b []byte) (T, error) {
	var zero, v T
	if len(b) > maxMessage {
		return zero, fmt.Errorf("a message of %d bytes is too long", len(b))
	}
	var version struct {
		Protocol int `json:"protocol"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return zero, fmt.Errorf("a message that cannot be read: %w", err)
	}
	if version.Protocol != Protocol {
		return zero, refuse(WrongVersion, "run the same version of highwater on both machines",
			"the other instance speaks version %d of the protocol, this one version %d", version.Protocol, Protocol)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		return zero, fmt.Errorf("a message that cannot be read: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return zero, fmt.Errorf("a message with something after it")
	}
	if err := sound(&v); err != nil {
		return zero, err
	}
	return v, nil
}

func (h Hello) sound() bool {
	return h.Role.Known() && soundLife(h.Life) && h.Epoch <= maxEpoch && len(h.Broken) <= maxBroken
}

// sound checks what JSON does not.
func sound(v any) error {
	switch v := v.(type) {
	case *Question:
		if !v.sound() || v.Seen > maxEpoch || len(v.Nonce) > maxNonce || v.At != nil && *v.At < 0 {
			return fmt.Errorf("a question with impossible fields")
		}
	case *Answer:
		if !v.sound() || len(v.Nonce) > maxNonce || v.Status != nil && (v.Status.Seen > maxEpoch || v.Status.SignsUpTo != nil && *v.Status.SignsUpTo < 0) {
			return fmt.Errorf("an answer with impossible fields")
		}
		if v.Status != nil {
			if err := soundMarks(v.Status.Marks); err != nil {
				return err
			}
		}
		if v.Certificate != nil {
			return v.Certificate.sound()
		}
	}
	return nil
}

func soundMarks(marks []Mark) error {
	if len(marks) > maxMarks {
		return fmt.Errorf("%d marks are too many", len(marks))
	}
	for _, m := range marks {
		if m.Level < 0 || m.Round < 0 || !m.Source.Known() || !slices.Contains(tezos.Kinds, m.Kind) {
			return fmt.Errorf("a mark with impossible fields, at level %d round %d", m.Level, m.Round)
		}
	}
	return nil
}
