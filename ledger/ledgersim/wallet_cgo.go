//go:build cgo

package ledgersim

import (
	blst "github.com/supranational/blst/bindings/go"

	"highwater/ledger"
)

// blsTag is the tag of the augmented scheme, in which the app signs. Octez signs in the proof-of-possession scheme.
var blsTag = []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_AUG_")

type blsKey struct {
	secret *blst.SecretKey
	pub    *blst.P1Affine
}

// newBLSKey derives by EIP-2333; the hardened bit is a part of the index.
func newBLSKey(seed []byte, path ledger.Path) (signKey, error) {
	key := blst.DeriveMasterEip2333(seed)
	for _, c := range path {
		key = key.DeriveChildEip2333(c)
	}
	return blsKey{key, new(blst.P1Affine).From(key)}, nil
}

func (k blsKey) compressed() []byte { return k.pub.Compress() }

// point is 04, X with the flags of the compressed form, and Y.
func (k blsKey) point() []byte {
	return append(append([]byte{4}, k.pub.Compress()...), k.pub.Serialize()[48:]...)
}

func (k blsKey) sign(message, _ []byte) []byte {
	return new(blst.P2Affine).Sign(k.secret, append(k.compressed(), message...), blsTag).Compress()
}
