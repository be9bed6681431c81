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
		return cmp.Or(bytes.Compare(a.Chain[:], b.Chain[:]), a.PKH.Compare(b.PKH), cmp.Compare(a.Kind, b.Kind))
	})
}

// Change is the effect of a merge on a row.
type Change struct {
	Key
	Before *Mark // nil: no mark before
	After  Mark
	Raised bool // false: the mark before is at or above
}

// Merge gives the higher of have and want. Nothing is ever lowered.
func Merge(key Key, have *Mark, want Mark) Change {
	if have == nil || want.Above(*have) {
		return Change{Key: key, Before: have, After: want, Raised: true}
	}
	return Change{Key: key, Before: have, After: *have}
}

// Pending is a change on its way to the disk. Wait returns nil once the change is durable.
type Pending interface{ Wait() error }

var (
	// ErrMoved is returned when a mark is not below its new place, or a ceiling is in the way: either changed
	// meanwhile.
	ErrMoved = errors.New("the watermark moved meanwhile")
	// ErrNoMark is returned when a missing mark should move.
	ErrNoMark = errors.New("no watermark to move")
)

// KnownKey is a key that a device offered once: its public key and names are kept while the device is away.
type KnownKey struct {
	PublicKey string `json:"public_key"` // base58check
	Alias     string `json:"alias,omitempty"`
	Device    string `json:"device,omitempty"` // the name of the first device with the key
}

// ImportRow is a position of a key and kind in a watermark file of this signer, or of a foreign signer.
type ImportRow struct {
	PKH   tezos.PublicKeyHash `json:"pkh"`
	Kind  tezos.Kind          `json:"kind"`
	Level int32               `json:"level"`
	Round int32               `json:"round"`
}
