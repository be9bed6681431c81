package tezos

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

var (
	// ErrBadKey is returned when bytes or a text are not a public key of a known curve.
	ErrBadKey = errors.New("not a valid public key")
	// ErrBadSignature is returned when a signature does not verify under a key.
	ErrBadSignature = errors.New("the signature does not verify")
)

// verifier checks a signature of the curve's raw length over a payload with its watermark byte.
type verifier interface {
	verify(payload, sig []byte) bool
}

// PublicKey is a public key tz1–tz4. A point is decompressed once, when the key is made. A PublicKey is immutable and
// safe for concurrent use.
type PublicKey struct {
	curve    Curve
	raw      []byte
	hash     PublicKeyHash
	verifier verifier
}

// keyFormats is indexed by curve.
var keyFormats = []format{formatEd25519Key, formatSecp256k1Key, formatP256Key, formatBLSKey}

// NewPublicKey parses the raw bytes of a key: 32 (ed25519), 33 compressed (secp256k1, P-256), 48 compressed G1 (BLS).
func NewPublicKey(curve Curve, raw []byte) (*PublicKey, error) {
	if int(curve) >= len(keyFormats) {
		return nil, fmt.Errorf("%w: no device here signs for a key of curve %s (%s)", ErrBadKey, curve, curve.Prefix())
	}
	if want := keyFormats[curve].size; len(raw) != want {
		return nil, fmt.Errorf("%w: a %s key has %d bytes, not %d", ErrBadKey, curve, want, len(raw))
	}
	raw = bytes.Clone(raw)
	v, err := newVerifier(curve, raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadKey, err)
	}
	return &PublicKey{
		curve: curve, raw: raw, verifier: v,
		hash: PublicKeyHash{Curve: curve, Hash: hash160(raw)},
	}, nil
}

// ParsePublicKey reads a text edpk…, sppk…, p2pk… or BLpk….
func ParsePublicKey(text string) (*PublicKey, error) {
	i, raw, err := decodeAs(text, keyFormats...)
	if err != nil {
		return nil, err
	}
	return NewPublicKey(Curve(i), raw) //nolint:gosec // an index into keyFormats
}

// Curve is the key's scheme.
func (k *PublicKey) Curve() Curve { return k.curve }

// Hash is the key's address.
func (k *PublicKey) Hash() PublicKeyHash { return k.hash }

// Bytes is a copy of the raw key.
func (k *PublicKey) Bytes() []byte { return bytes.Clone(k.raw) }

// String is the base58check text.
func (k *PublicKey) String() string { return keyFormats[k.curve].encode(k.raw) }

// MarshalText carries the base58check text through JSON.
func (k *PublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the base58check text.
func (k *PublicKey) UnmarshalText(b []byte) error {
	v, err := ParsePublicKey(string(b))
	if err != nil {
		return err
	}
	*k = *v
	return nil
}

// Verify checks that sig signs exactly the payload's bytes, the watermark byte included. tz1–tz3 sign the BLAKE2b-256
// digest of the payload, tz4 the payload itself. A generic signature (sig…) is accepted for tz1–tz3. A secp256k1
// signature with a high s is refused, as Octez does. Verify returns ErrBadSignature, or nil.
func (k *PublicKey) Verify(payload []byte, sig Signature) error {
	return k.verify(sig, func(raw []byte) bool { return k.verifier.verify(payload, raw) })
}

func (k *PublicKey) verify(sig Signature, check func(raw []byte) bool) error {
	if sig.curve != k.curve && (!sig.generic || k.curve == BLS12381) {
		return fmt.Errorf("%w: a %s signature for a %s key", ErrBadSignature, sig.curve, k.curve)
	}
	if !check(sig.raw) {
		return ErrBadSignature
	}
	return nil
}

// possessionVerifier is a BLS key's verifier of proofs of possession.
type possessionVerifier interface {
	verifyPossession(proof []byte) bool
}

// VerifyPossession checks a proof of possession of a tz4 key: a signature of the key's own 48 bytes with the scheme's
// tag for proofs.
func (k *PublicKey) VerifyPossession(proof Signature) error {
	pv, ok := k.verifier.(possessionVerifier)
	if !ok || proof.curve != k.curve || !pv.verifyPossession(proof.raw) {
		return fmt.Errorf("%w as a proof of possession", ErrBadSignature)
	}
	return nil
}

// schemeFinder is a BLS key's finder of schemes foreign to Octez.
type schemeFinder interface {
	otherScheme(payload, sig []byte) string
}

// OtherScheme names the scheme in which sig signs the payload's bytes, when the scheme is a BLS scheme that Octez
// does not take; a Ledger signs in the scheme "augmented". The result is empty when sig is good in no known scheme.
// OtherScheme costs several verifications.
func (k *PublicKey) OtherScheme(payload []byte, sig Signature) string {
	f, ok := k.verifier.(schemeFinder)
	if !ok || sig.curve != k.curve {
		return ""
	}
	return f.otherScheme(payload, sig.raw)
}

func newVerifier(curve Curve, raw []byte) (verifier, error) {
	switch curve {
	case Ed25519:
		return ed25519Verifier(raw), nil
	case Secp256k1:
		pk, err := secp256k1.ParsePubKey(raw)
		if err != nil {
			return nil, err
		}
		return secpVerifier{pk}, nil
	case P256:
		x, y := elliptic.UnmarshalCompressed(elliptic.P256(), raw)
		if x == nil {
			return nil, errors.New("not a point of P-256")
		}
		point := make([]byte, 65)
		point[0] = 4
		x.FillBytes(point[1:33])
		y.FillBytes(point[33:])
		pk, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil, err
		}
		return p256Verifier{pk}, nil
	case BLS12381:
		return newBLSVerifier(raw)
	case MLDSA44:
	}
	return nil, fmt.Errorf("unknown curve %s", curve)
}

type ed25519Verifier ed25519.PublicKey

func (v ed25519Verifier) verify(payload, sig []byte) bool {
	digest := Digest(payload)
	return ed25519.Verify(ed25519.PublicKey(v), digest[:], sig)
}

type secpVerifier struct{ key *secp256k1.PublicKey }

func (v secpVerifier) verify(payload, sig []byte) bool {
	var r, s secp256k1.ModNScalar
	if r.SetByteSlice(sig[:32]) || s.SetByteSlice(sig[32:]) || s.IsOverHalfOrder() {
		return false
	}
	digest := Digest(payload)
	return secpecdsa.NewSignature(&r, &s).Verify(digest[:], v.key)
}

type p256Verifier struct{ key *ecdsa.PublicKey }

func (v p256Verifier) verify(payload, sig []byte) bool {
	digest := Digest(payload)
	return ecdsa.Verify(v.key, digest[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:]))
}
