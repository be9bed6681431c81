package signer

import (
	"slices"

	"highwater/internal/tezos"
)

// KeyLine is a fault with its key.
type KeyLine struct {
	PKH tezos.PublicKeyHash
	KeyFault
}

// InService tells whether any key is in service. Where none is, nothing could be signed, and no fault is a mere note.
func InService(keys []KeyHealth) bool {
	return slices.ContainsFunc(keys, func(h KeyHealth) bool { return !h.New })
}

// Readiness sums the health of all keys up: reasons against readiness, and notes. Faults of all keys alike are left
// out.
func Readiness(keys []KeyHealth) (reasons, notes []KeyLine) {
	inService := InService(keys)
	for _, h := range keys {
		for _, f := range h.Own() {
			line := KeyLine{h.PKH, f}
			if f.Note && inService {
				notes = append(notes, line)
			} else {
				reasons = append(reasons, line)
			}
		}
		for _, f := range h.NoSpares {
			notes = append(notes, KeyLine{h.PKH, f})
		}
	}
	return reasons, notes
}
