package hwm

import "highwater/internal/tezos"

// SignedBy names what was signed with one device: by its name here and its identity together, of a key and a kind.
type SignedBy struct {
	Device string
	PKH    tezos.PublicKeyHash
	Kind   tezos.Kind
}

// SignedUpTo is the highest place that is known to be signed with a device.
type SignedUpTo struct {
	Position
	// Open: the device made the last signature of this key and kind, so that the host's mark says more than Position does. It is written
	// when another device takes over, and not at each signature.
	Open bool
}
