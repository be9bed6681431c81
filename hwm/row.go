package hwm

import (
	"bytes"
	"cmp"
	"slices"
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
