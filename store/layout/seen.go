package layout

import (
	"highwater/hwm"
	"highwater/internal/tezos"
)

// SeenKey names a device's word about itself: device identity, key, kind (zero: all kinds).
type SeenKey struct {
	Device string              `json:"device"`
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Kind   uint8               `json:"kind"`
}

// SeenRecord is the record of a SeenKey.
type SeenRecord struct {
	SeenKey
	hwm.Position
	Signed *SignedRecord `json:"signed,omitempty"` // no mark of a device's own: the signatures made with the device
}

// SignedRecord marks the record of a SignedWith.
type SignedRecord struct {
	Device string `json:"device"`
	Open   bool   `json:"open"`
}
