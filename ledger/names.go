package ledger

import "highwater/internal/tezos"

// DeviceName is the name of the device whose root key (ed25519 at 44'/1729') has an address.
func DeviceName(root tezos.PublicKeyHash) string { return root.String() }
