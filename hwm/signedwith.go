package hwm

import "highwater/internal/tezos"

// SignedBy names the signatures with a device, by the device's name here and its identity together, of a key and a
// kind.
type SignedBy struct {
	Device string
	PKH    tezos.PublicKeyHash
	Kind   tezos.Kind
}

// SignedUpTo is the highest place that is known to be signed with a device.
type SignedUpTo struct {
	Position
	// Open: the device made the last signature of this key and kind, so the host's mark says more than Position does.
	// Open is written when another device takes over, and not at each signature.
	Open bool
}
