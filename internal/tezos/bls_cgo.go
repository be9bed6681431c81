//go:build cgo

package tezos

import (
	"errors"
	"slices"

	blst "github.com/supranational/blst/bindings/go"
)

// HasBLS tells whether the build can verify tz4 signatures, for which cgo is needed.
const HasBLS = true

// The tags of the proof-of-possession scheme (draft-irtf-cfrg-bls-signature, min-pk).
var (
	blsSignTag = []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")
	blsPopTag  = []byte("BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")
)

// otherSchemes are the tags of schemes in which Octez does not sign, by their names in the draft. The augmented
// scheme signs the key and the message.
var otherSchemes = []struct {
	name      string
	tag       []byte
	augmented bool
}{
	{"augmented", []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_AUG_"), true},
	{"basic", []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_"), false},
	{"proof-of-possession of a key", blsPopTag, false},
}

type blsVerifier struct {
	key *blst.P1Affine
	raw []byte
}

func newBLSVerifier(raw []byte) (verifier, error) {
	key := new(blst.P1Affine).Uncompress(raw)
	if key == nil || !key.KeyValidate() {
		return nil, errors.New("not a point of BLS12-381 G1, or not in the right subgroup")
	}
	return blsVerifier{key, raw}, nil
}

func (v blsVerifier) verify(payload, sig []byte) bool { return v.check(payload, sig, blsSignTag) }

func (v blsVerifier) verifyPossession(proof []byte) bool { return v.check(v.raw, proof, blsPopTag) }

func (v blsVerifier) otherScheme(payload, sig []byte) string {
	for _, s := range otherSchemes {
		message := payload
		if s.augmented {
			message = slices.Concat(v.raw, payload)
		}
		if v.check(message, sig, s.tag) {
			return s.name
		}
	}
	return ""
}

func (v blsVerifier) check(message, sig, tag []byte) bool {
	point := blsSignature(sig)
	// The key was validated when the key was parsed, the signature just now.
	return point != nil && point.Verify(false, v.key, false, message, tag)
}

var blsGenerator = blst.P1Generator().ToAffine()

// prepare does the half of verify that needs no signature, and returns the second half. The halves are two pairings
// with one result: of the key and the message, and of the generator and the signature. The key was validated when the
// key was parsed. Both halves together take longer than verify.
func (v blsVerifier) prepare(payload []byte) func(sig []byte) bool {
	want := blst.Fp12MillerLoop(blst.HashToG2(payload, blsSignTag).ToAffine(), v.key)
	return func(sig []byte) bool {
		point := blsSignature(sig)
		return point != nil && blst.Fp12FinalVerify(blst.Fp12MillerLoop(point, blsGenerator), want)
	}
}

// blsSignature reads a signature: a point of G2, and not the point at infinity. Any other bytes give nil.
func blsSignature(raw []byte) *blst.P2Affine {
	point := new(blst.P2Affine).Uncompress(raw)
	if point == nil || !point.SigValidate(true) {
		return nil
	}
	return point
}
