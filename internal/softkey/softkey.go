// Package softkey holds private keys in memory for the emulated devices, the demo and tests. No real key belongs
// here: the signer itself never holds a private key.
package softkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"highwater/internal/tezos"
)

// MinSeed is the length of the shortest seed that New takes, in bytes.
const MinSeed = 16

// ErrBadScalar is returned when bytes are not a private key of their curve: a wrong length, zero, or not below the
// order.
var ErrBadScalar = errors.New("not a private key of the curve")

// secret is a private key of one curve. Both methods return raw bytes: a public key for tezos.NewPublicKey, and, for
// tezos.NewSignature, a signature of a payload with its watermark byte.
type secret interface {
	public() []byte
	sign(payload []byte) ([]byte, error)
}

// Key is a private key tz1–tz4 in memory. A Key is immutable and safe for concurrent use.
type Key struct {
	secret secret
	pub    *tezos.PublicKey
}

// New makes the key of a curve that belongs to a seed of at least MinSeed bytes. The same seed gives the same key.
// Seeds are hashed together with the curve's name: one seed gives unrelated keys on different curves.
func New(curve tezos.Curve, seed []byte) (*Key, error) {
	if len(seed) < MinSeed {
		return nil, fmt.Errorf("a seed has at least %d bytes, not %d", MinSeed, len(seed))
	}
	wide := sha512.Sum512(append([]byte("highwater/softkey/"+curve.String()+"/"), seed...))
	if curve == tezos.Ed25519 {
		return FromScalar(curve, wide[:32])
	}
	order, ok := orders[curve]
	if !ok {
		return nil, fmt.Errorf("no key of curve %s can be made here", curve)
	}
	// 512 bits modulo an order of 256 leave no bias worth the name; +1 avoids zero.
	n := new(big.Int).Sub(order, big.NewInt(1))
	d := new(big.Int).Mod(new(big.Int).SetBytes(wide[:]), n)
	return FromScalar(curve, d.Add(d, big.NewInt(1)).FillBytes(make([]byte, 32)))
}

// orders are the orders of the groups with scalars as private keys.
var orders = map[tezos.Curve]*big.Int{
	tezos.Secp256k1: secp256k1.Params().N,
	tezos.P256:      elliptic.P256().Params().N,
	tezos.BLS12381:  mustHex("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001"),
}

func mustHex(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 16)
	if !ok {
		panic("softkey: bad constant " + s)
	}
	return n
}

// FromScalar makes a key of its 32 private bytes: the scalar, big endian (secp256k1, P-256, BLS12-381), or the seed
// of RFC 8032 (ed25519). FromScalar returns ErrBadScalar for bytes that are not a private key.
func FromScalar(curve tezos.Curve, scalar []byte) (*Key, error) {
	if len(scalar) != 32 {
		return nil, fmt.Errorf("%w: %d bytes, not 32", ErrBadScalar, len(scalar))
	}
	if order, ok := orders[curve]; ok {
		if d := new(big.Int).SetBytes(scalar); d.Sign() == 0 || d.Cmp(order) >= 0 {
			return nil, ErrBadScalar
		}
	}
	s, err := newSecret(curve, scalar)
	if err != nil {
		return nil, err
	}
	pub, err := tezos.NewPublicKey(curve, s.public())
	if err != nil {
		return nil, err
	}
	return &Key{secret: s, pub: pub}, nil
}

func newSecret(curve tezos.Curve, scalar []byte) (secret, error) {
	switch curve {
	case tezos.Ed25519:
		return edSecret(ed25519.NewKeyFromSeed(scalar)), nil
	case tezos.Secp256k1:
		return secpSecret{secp256k1.PrivKeyFromBytes(scalar)}, nil
	case tezos.P256:
		priv, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadScalar, err)
		}
		return p256Secret{priv}, nil
	case tezos.BLS12381:
		return newBLSSecret(scalar)
	case tezos.MLDSA44:
	}
	return nil, fmt.Errorf("no key of curve %s can be made here", curve)
}

// Curve is the key's scheme.
func (k *Key) Curve() tezos.Curve { return k.pub.Curve() }

// PublicKey is the public half.
func (k *Key) PublicKey() *tezos.PublicKey { return k.pub }

// Sign signs a payload with its watermark byte, as Octez does. tz1–tz3 keys sign the BLAKE2b-256 digest, ECDSA with
// the nonce of RFC 6979 and a low s, which makes ECDSA deterministic. tz4 keys sign the bytes themselves with the
// proof-of-possession scheme.
func (k *Key) Sign(payload []byte) tezos.Signature { return k.signature(k.secret.sign(payload)) }

// Prove makes the proof of possession of a tz4 key. For another curve the result is the zero signature.
func (k *Key) Prove() tezos.Signature {
	p, ok := k.secret.(interface{ prove() []byte })
	if !ok {
		return tezos.Signature{}
	}
	return k.signature(p.prove(), nil)
}

// signature wraps raw bytes. Signing with a valid private key cannot fail: an error is a programmer's mistake.
func (k *Key) signature(raw []byte, err error) tezos.Signature {
	if err != nil {
		panic("softkey: " + err.Error())
	}
	sig, err := tezos.NewSignature(k.pub.Curve(), raw)
	if err != nil {
		panic("softkey: " + err.Error())
	}
	return sig
}

type edSecret ed25519.PrivateKey

// public is the second half of Go's private key.
func (s edSecret) public() []byte { return s[ed25519.SeedSize:] }

func (s edSecret) sign(payload []byte) ([]byte, error) {
	digest := tezos.Digest(payload)
	return ed25519.Sign(ed25519.PrivateKey(s), digest[:]), nil
}

type secpSecret struct{ key *secp256k1.PrivateKey }

func (s secpSecret) public() []byte { return s.key.PubKey().SerializeCompressed() }

func (s secpSecret) sign(payload []byte) ([]byte, error) {
	digest := tezos.Digest(payload)
	sig := secpecdsa.Sign(s.key, digest[:])
	r, z := sig.R(), sig.S()
	rb, sb := r.Bytes(), z.Bytes()
	return append(rb[:], sb[:]...), nil
}

type p256Secret struct{ key *ecdsa.PrivateKey }

func (s p256Secret) public() []byte {
	return elliptic.MarshalCompressed(elliptic.P256(), s.key.X, s.key.Y)
}

func (s p256Secret) sign(payload []byte) ([]byte, error) {
	digest := tezos.Digest(payload)
	// Without a source of randomness the nonce is the nonce of RFC 6979 with the given hash.
	der, err := s.key.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &rs); err != nil {
		return nil, err
	}
	if n := orders[tezos.P256]; rs.S.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
		rs.S.Sub(n, rs.S)
	}
	raw := make([]byte, 64)
	rs.R.FillBytes(raw[:32])
	rs.S.FillBytes(raw[32:])
	return raw, nil
}
