package tezos

import (
	"bytes"
	"fmt"
	"slices"
)

// Signature is a signature of a known length: 64 bytes (tz1–tz3; r ‖ s, big endian, for ECDSA) or 96 (tz4, compressed
// G2). The zero value is no signature; IsZero tells.
type Signature struct {
	curve   Curve
	generic bool // the text does not name the curve
	raw     []byte
}

// sigFormats is indexed by curve; in sigTexts the generic signature comes last.
var (
	sigFormats = []format{formatEd25519Sig, formatSecp256k1Sig, formatP256Sig, formatBLSSig}
	sigTexts   = append(slices.Clone(sigFormats), formatGenericSig)
)

// NewSignature takes the raw bytes of a curve's signature, without verifying the signature.
func NewSignature(curve Curve, raw []byte) (Signature, error) {
	if int(curve) >= len(sigFormats) {
		return Signature{}, fmt.Errorf("no signatures of curve %s are known here", curve)
	}
	if want := sigFormats[curve].size; len(raw) != want {
		return Signature{}, fmt.Errorf("a %s signature has %d bytes, not %d", curve, want, len(raw))
	}
	return Signature{curve: curve, raw: bytes.Clone(raw)}, nil
}

// Lengths of raw signatures in bytes: of tz1 to tz3, and of tz4.
const (
	SignatureLen    = 64
	BLSSignatureLen = 96
)

// SignatureFromBytes takes a raw signature as Octez writes one in binary, without the name of its curve: 96 bytes are
// of tz4, 64 bytes a generic signature of tz1 to tz3.
func SignatureFromBytes(raw []byte) (Signature, error) {
	switch len(raw) {
	case BLSSignatureLen:
		return NewSignature(BLS12381, raw)
	case SignatureLen:
		return Signature{generic: true, raw: bytes.Clone(raw)}, nil
	}
	return Signature{}, fmt.Errorf("a signature has %d or %d bytes, not %d", SignatureLen, BLSSignatureLen, len(raw))
}

// ParseSignature reads a text edsig…, spsig1…, p2sig…, BLsig… or the generic sig….
func ParseSignature(text string) (Signature, error) {
	i, raw, err := decodeAs(text, sigTexts...)
	if err != nil {
		return Signature{}, err
	}
	if i == len(sigFormats) {
		return Signature{generic: true, raw: raw}, nil
	}
	return Signature{curve: Curve(i), raw: raw}, nil //nolint:gosec // an index into sigFormats
}

// IsZero tells whether the signature is missing.
func (s Signature) IsZero() bool { return s.raw == nil }

// Curve is the scheme; meaningless for a generic signature.
func (s Signature) Curve() Curve { return s.curve }

// Bytes is a copy of the raw signature.
func (s Signature) Bytes() []byte { return bytes.Clone(s.raw) }

// Copy copies the raw signature, and gives its length: at most 96 bytes.
func (s Signature) Copy(to []byte) int { return copy(to, s.raw) }

// Equal tells whether two signatures have the same bytes.
func (s Signature) Equal(t Signature) bool { return bytes.Equal(s.raw, t.raw) }

// String is the base58check text.
func (s Signature) String() string {
	switch {
	case s.raw == nil:
		return ""
	case s.generic:
		return formatGenericSig.encode(s.raw)
	default:
		return sigFormats[s.curve].encode(s.raw)
	}
}

// MarshalText carries the base58check text through JSON.
func (s Signature) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the base58check text; the empty text is no signature.
func (s *Signature) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = Signature{}
		return nil
	}
	v, err := ParseSignature(string(b))
	if err != nil {
		return err
	}
	*s = v
	return nil
}
