package signer

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// KeyReason says in one word why a key cannot sign here now. For a device that is not ready the word is the device's
// health: absent, locked, wrong_app, no_app, busy, broken.
type KeyReason string

// The reasons beside the health of a device.
const (
	KeyStore    KeyReason = "store"       // no mark can be made durable any more
	KeyStandby  KeyReason = "standby"     // the right to sign is not here
	KeyFenced   KeyReason = "fenced"      // the instance ended signing by itself
	KeyWaiting  KeyReason = "waiting"     // the role is active, and requests are not let in
	KeyNoDevice KeyReason = "no_device"   // the devices that could hold the key are ready, and do not hold the key
	KeyOtherUse KeyReason = "cannot_sign" // the device holds the key, and cannot sign an allowed kind with the key
	KeyNoMark   KeyReason = "no_mark"     // a kind that the key may sign has no mark
	KeyLevel    KeyReason = "level"       // the marks exist, and the next level would be refused all the same
)

// KeyFault is a reason why a key cannot sign here now.
type KeyFault struct {
	Reason KeyReason `json:"reason"`
	Device string    `json:"device,omitempty"` // the faulty device; empty: none in particular
	Text   string    `json:"text"`
	Hint   string    `json:"hint,omitempty"` // advice; may be empty
	// Note marks a fault worth knowing that is no reason against readiness: the key is not in service yet.
	Note bool `json:"note,omitempty"`
	// Health is set for a fault between this machine and its devices: of the device, or of the key on the device.
	Health device.Health `json:"health,omitempty"`

	// Level says more of a fault of the level.
	Level *LevelHealth `json:"-"`

	cause error // as a request is told of a device's fault
}

// ofInstance tells a fault of all keys alike.
func (f KeyFault) ofInstance() bool {
	return slices.Contains([]KeyReason{KeyStore, KeyStandby, KeyFenced, KeyWaiting}, f.Reason)
}

// OfDevice tells a fault between this machine and its devices.
func (f KeyFault) OfDevice() bool { return f.Health != "" }

// Word is the fault in one word; for a fault of a device, its health.
func (f KeyFault) Word() string { return cmp.Or(string(f.Health), string(f.Reason)) }

// Advice is the advice in one line, beside Device and Word.
func (f KeyFault) Advice() string {
	switch {
	case f.Hint == "":
		return strings.TrimPrefix(f.Text, f.Word()+": ")
	case string(f.Reason) == string(f.Health): // the device's own advice
		return f.Hint
	}
	return f.Text + ": " + f.Hint
}

// LevelHealth tells whether a key would sign the level after the head of the node, as far as marks and ceiling are
// concerned.
type LevelHealth struct {
	// From is the first level that would be signed, when From is above the head's next level by Ahead levels. Zero:
	// the next level is signed.
	From  int32
	Ahead int64
	// Far: no pause explains the distance.
	Far bool
	// UpTo is the ceiling, when the head's next level is above the ceiling, or the marks leave nothing below the ceiling.
	UpTo *int32
}

// OK tells whether the head's next level would be signed.
func (h LevelHealth) OK() bool { return h.From == 0 && h.UpTo == nil }

// Text says why the next level would not be signed, and gives the advice; empty when the level would be signed.
func (h LevelHealth) Text(pkh tezos.PublicKeyHash) string {
	switch {
	case h.UpTo != nil:
		return fmt.Sprintf("%s signs nothing above its ceiling, level %d, and the chain or its marks have reached the ceiling: "+
			"highwater hwm list", pkh, *h.UpTo)
	case h.Far:
		return fmt.Sprintf("%s signs from level %d on, in %s: its mark is %d levels above the chain, too far for a "+
			"margin. If the mark is a mistake: "+
			"highwater hwm lower %s --help", pkh, h.From, hwm.Span(h.Ahead), h.Ahead, pkh)
	case h.From != 0:
		return fmt.Sprintf("%s signs from level %d on, in %s: its mark is above the chain. Wait; nothing else is "+
			"needed", pkh, h.From, hwm.Span(h.Ahead))
	}
	return ""
}

// headLag is how many levels the baker's node may be ahead of our node: a signature so far above our node's head
// shows where the chain is, and no mark that is too high.
const headLag = 3

// farAhead is from where on a mark above the chain is no margin of an operator any more: ten minutes of blocks.
const farAhead = 100

// levelHealth looks at the marks and the ceiling of a key, of the kinds that the key may sign. Without a head nothing
// is known of the chain; marks that leave nothing below the ceiling are seen in any case.
func (s *Signer) levelHealth(key *keyring.Key, states map[tezos.Kind]hwm.State) LevelHealth {
	var out LevelHealth
	head, now := s.head(), s.now()
	for _, kind := range key.Kinds() {
		st := states[kind]
		if st.Mark == nil {
			continue
		}
		if head != nil {
			out.look(st, *head, now)
		}
		if c := st.Ceiling; c != nil && st.Mark.Compare(hwm.Position{Level: c.Level, Round: hwm.MaxRound}) >= 0 {
			return LevelHealth{UpTo: &c.Level} // no level that the chain may reach would be signed
		}
	}
	return out
}

func (h *LevelHealth) look(st hwm.State, head hwm.Known, now time.Time) {
	age := max(0, now.Sub(head.At))
	next := min(int64(head.Level)+1+int64(age/hwm.BlockTime), math.MaxInt32) // an old head shows where the chain was
	if st.Ceiling != nil && int64(st.Ceiling.Level) < next {
		level := st.Ceiling.Level
		h.UpTo = &level
	}
	from := int64(st.Mark.Level) + 1   // of a floor
	if st.Mark.Round != hwm.MaxRound { // a signature shows where the chain is, up to the lag of a node
		from -= 1 + headLag + int64(age/time.Second)
	}
	if from <= next {
		return
	}
	if first := min(int64(st.Mark.Level)+1, math.MaxInt32); first > int64(h.From) {
		h.From, h.Ahead, h.Far = int32(first), first-next, first-next > farAhead //nolint:gosec // bounded
	}
}
