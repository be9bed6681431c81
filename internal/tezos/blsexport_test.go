//go:build cgo

package tezos

// IsBLSSignature tells whether bytes are read as a signature at all, whatever it is of.
func IsBLSSignature(raw []byte) bool { return blsSignature(raw) != nil }
