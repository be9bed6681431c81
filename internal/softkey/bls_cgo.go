//go:build cgo

package softkey

import (
	blst "github.com/supranational/blst/bindings/go"
)

// HasBLS tells whether the build can make tz4 keys, for which cgo is needed.
const HasBLS = true

// The tags of the proof-of-possession scheme (draft-irtf-cfrg-bls-signature, min-pk).
var (
	blsSignTag = []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")
	blsPopTag  = []byte("BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")
)

type blsSecret struct {
	key *blst.SecretKey
	pub []byte
}

func newBLSSecret(scalar []byte) (secret, error) {
	key := new(blst.SecretKey).Deserialize(scalar)
	if key == nil {
		return nil, ErrBadScalar
	}
	return blsSecret{key: key, pub: new(blst.P1Affine).From(key).Compress()}, nil
}

func (s blsSecret) public() []byte { return s.pub }

func (s blsSecret) sign(payload []byte) ([]byte, error) {
	return new(blst.P2Affine).Sign(s.key, payload, blsSignTag).Compress(), nil
}

func (s blsSecret) prove() []byte {
	return new(blst.P2Affine).Sign(s.key, s.pub, blsPopTag).Compress()
}
