package refusal

import (
	"fmt"

	"highwater/internal/tezos"
)

// WrongSignatureError says that a signature of a device, or of the store, does not verify.
type WrongSignatureError struct {
	PKH    tezos.PublicKeyHash
	Device string
	Scheme string // the BLS scheme in which the signature verifies, and which Octez does not take; else empty
	Err    error
}

func (e *WrongSignatureError) Error() string {
	if e.Scheme != "" {
		return fmt.Sprintf("device %s answered with a signature for %s in the %s BLS scheme; Octez refuses "+
			"the scheme: %v",
			e.Device, e.PKH, e.Scheme, e.Err)
	}
	return fmt.Sprintf("device %s answered with a wrong signature for %s: %v", e.Device, e.PKH, e.Err)
}

// Unwrap gives the cause.
func (e *WrongSignatureError) Unwrap() error { return e.Err }

// HintText is the advice; empty where none is known.
func (e *WrongSignatureError) HintText() string {
	if e.Scheme != "" {
		return "bake with the key on a device with Octez's own scheme: a TezSign, for tz4"
	}
	return ""
}
