package tezos

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"

	"golang.org/x/crypto/blake2b"
)

// Curve is a signature scheme. The values are the tag bytes of Octez's binary public key hashes.
type Curve uint8

// The curves. A tz5 (ML-DSA-44) address is recognised, but no device signs for it.
const (
	Ed25519   Curve = 0
	Secp256k1 Curve = 1
	P256      Curve = 2
	BLS12381  Curve = 3
	MLDSA44   Curve = 4
)

// String is the curve's name, the name printed by octez where octez has a name.
func (c Curve) String() string {
	switch c {
	case Ed25519:
		return "ed25519"
	case Secp256k1:
		return "secp256k1"
	case P256:
		return "P-256"
	case BLS12381:
		return "BLS12-381"
	case MLDSA44:
		return "ML-DSA-44"
	default:
		return fmt.Sprintf("curve(%d)", uint8(c))
	}
}

// Prefix is the start of the curve's addresses: tz1 to tz5.
func (c Curve) Prefix() string { return fmt.Sprintf("tz%d", uint8(c)+1) }

// Deterministic tells whether signing the same bytes again must give the same signature, by definition of the scheme.
// ECDSA is not deterministic: a second signature of one block is a second block.
func (c Curve) Deterministic() bool { return c == Ed25519 || c == BLS12381 }

// PublicKeyHash is an address tz1…tz5: the curve and the BLAKE2b-160 hash of the raw public key. A PublicKeyHash is
// comparable.
type PublicKeyHash struct {
	Curve Curve
	Hash  [20]byte
}

// PublicKeyHashLen is the length in bytes of the binary form: a tag byte and the hash.
const PublicKeyHashLen = 21

// hashFormats is indexed by curve.
var hashFormats = []format{formatEd25519Hash, formatSecp256k1Hash, formatP256Hash, formatBLSHash, formatMLDSA44Hash}

// ParsePublicKeyHash reads an address tz1…tz5.
func ParsePublicKeyHash(text string) (PublicKeyHash, error) {
	i, raw, err := decodeAs(text, hashFormats...)
	if err != nil {
		return PublicKeyHash{}, err
	}
	return PublicKeyHash{Curve: Curve(i), Hash: [20]byte(raw)}, nil //nolint:gosec // an index into hashFormats
}

// PublicKeyHashFromBytes reads the binary form: tag byte and 20 bytes.
func PublicKeyHashFromBytes(b []byte) (PublicKeyHash, error) {
	if len(b) != PublicKeyHashLen {
		return PublicKeyHash{}, fmt.Errorf("a binary public key hash has %d bytes, not %d", PublicKeyHashLen, len(b))
	}
	if b[0] > byte(MLDSA44) {
		return PublicKeyHash{}, fmt.Errorf("unknown public key hash tag 0x%02x", b[0])
	}
	return PublicKeyHash{Curve: Curve(b[0]), Hash: [20]byte(b[1:])}, nil
}

// Bytes is the binary form: tag byte and 20 bytes.
func (h PublicKeyHash) Bytes() []byte { return append([]byte{byte(h.Curve)}, h.Hash[:]...) }

// Compare orders by the bytes: negative, zero or positive where h is before, equal to or after other.
func (h PublicKeyHash) Compare(other PublicKeyHash) int {
	return cmp.Or(cmp.Compare(h.Curve, other.Curve), bytes.Compare(h.Hash[:], other.Hash[:]))
}

// String is the base58check text.
func (h PublicKeyHash) String() string {
	if int(h.Curve) >= len(hashFormats) {
		return "tz?" + hex.EncodeToString(h.Hash[:])
	}
	return hashFormats[h.Curve].encode(h.Hash[:])
}

// MarshalText carries the base58check text through JSON and TOML. A hash of an unknown curve is an error.
func (h PublicKeyHash) MarshalText() ([]byte, error) {
	if int(h.Curve) >= len(hashFormats) {
		return nil, fmt.Errorf("a public key hash of %s has no text", h.Curve)
	}
	return []byte(h.String()), nil
}

// UnmarshalText reads the base58check text.
func (h *PublicKeyHash) UnmarshalText(b []byte) error {
	v, err := ParsePublicKeyHash(string(b))
	if err != nil {
		return err
	}
	*h = v
	return nil
}

// ChainID is the 4-byte id of a chain.
type ChainID [4]byte

// Mainnet is NetXdQprcVkpaWU.
var Mainnet = ChainID{0x7a, 0x06, 0xa7, 0x70}

// ParseChainID reads a text Net….
func ParseChainID(text string) (ChainID, error) {
	_, raw, err := decodeAs(text, formatChainID)
	if err != nil {
		return ChainID{}, err
	}
	return ChainID(raw), nil
}

// String is the base58check text Net….
func (c ChainID) String() string { return formatChainID.encode(c[:]) }

// MarshalText carries the base58check text through JSON and TOML.
func (c ChainID) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the base58check text.
func (c *ChainID) UnmarshalText(b []byte) error {
	v, err := ParseChainID(string(b))
	if err != nil {
		return err
	}
	*c = v
	return nil
}

// Hash32 is a 32-byte hash with a text form: a block, an operation, or a block's payload.
type Hash32 [32]byte

// BlockHash is the text B… of a block hash.
func (h Hash32) BlockHash() string { return formatBlockHash.encode(h[:]) }

// OperationHash is the text o… of an operation hash.
func (h Hash32) OperationHash() string { return formatOpHash.encode(h[:]) }

// PayloadHash is the text vh… of a block payload hash.
func (h Hash32) PayloadHash() string { return formatPayloadHash.encode(h[:]) }

// ParseHash32 reads a block hash, an operation hash or a block payload hash.
func ParseHash32(text string) (Hash32, error) {
	_, raw, err := decodeAs(text, formatBlockHash, formatOpHash, formatPayloadHash)
	if err != nil {
		return Hash32{}, err
	}
	return Hash32(raw), nil
}

// Digest is BLAKE2b-256: tz1, tz2 and tz3 keys sign the digest, and a mark remembers a payload by its digest.
func Digest(payload []byte) [32]byte { return blake2b.Sum256(payload) }

func hash160(b []byte) [20]byte {
	h, err := blake2b.New(20, nil)
	if err != nil {
		panic(err) // only for a size above 64 or a key too long: a programmer's mistake
	}
	h.Write(b)
	return [20]byte(h.Sum(nil))
}
