package hwm

import (
	"bytes"
	"cmp"
	"errors"
	"slices"

	"highwater/internal/tezos"
)

// SortRows orders rows for people: by chain, key, and kind.
func SortRows(rows []Row) {
	slices.SortFunc(rows, func(a, b Row) int {
		return cmp.Or(bytes.Compare(a.Chain[:], b.Chain[:]), bytes.Compare(a.PKH.Bytes(), b.PKH.Bytes()), cmp.Compare(a.Kind, b.Kind))
	})
}

// Change is what a merge did to one row.
type Change struct {
	Key
	Before *Mark // nil: there was none
	After  Mark
	Raised bool // false: what was there is at or above
}

// Merge says what raising have to want gives: the higher of the two. Nothing is ever lowered.
func Merge(key Key, have *Mark, want Mark) Change {
	if have == nil || want.Above(*have) {
		return Change{Key: key, Before: have, After: want, Raised: true}
	}
	return Change{Key: key, Before: have, After: *have}
}

// Pending is a change that is on its way to the disk. Wait returns nil once it is durable.
type Pending interface{ Wait() error }

var (
	// ErrMoved is returned when a mark is not below what it should move to, or a ceiling is in the way: it changed meanwhile.
	ErrMoved = errors.New("the watermark moved meanwhile")
	// ErrNoMark is returned when a mark should move that does not exist.
	ErrNoMark = errors.New("there is no watermark to move")
)

// KnownKey is a key that a device offered once: it keeps its public key and names while the device is away.
type KnownKey struct {
	PublicKey string `json:"public_key"` // base58check
	Alias     string `json:"alias,omitempty"`
	Device    string `json:"device,omitempty"` // the name of the device that offered it first
}

// ImportRow is a position that a watermark file of this or another signer has for a key and kind.
type ImportRow struct {
	PKH   tezos.PublicKeyHash `json:"pkh"`
	Kind  tezos.Kind          `json:"kind"`
	Level int32               `json:"level"`
	Round int32               `json:"round"`
}
