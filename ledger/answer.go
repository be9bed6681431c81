package ledger

import (
	"crypto/elliptic"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"highwater/internal/tezos"
)

// ErrBadAnswer is returned when an answer does not have the form that belongs to the command. Either host and device
// are out of step, or the device is no Ledger.
var ErrBadAnswer = errors.New("the answer does not belong to the command")

func badAnswer(what string, b []byte) error {
	return fmt.Errorf("%w: %s of %d bytes", ErrBadAnswer, what, len(b))
}

// AppVersion is the answer to VERSION.
type AppVersion struct {
	Baking              bool // the baking app; false: the wallet app
	Major, Minor, Patch byte
}

func (v AppVersion) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Known tells whether this driver was written for the version: 2.4.x and 2.5.x.
func (v AppVersion) Known() bool { return v.Major == 2 && (v.Minor == 4 || v.Minor == 5) }

// Supported tells whether the version has the commands and marks of this driver: 2.x.
func (v AppVersion) Supported() bool { return v.Major == 2 }

func parseVersion(b []byte) (AppVersion, error) {
	if len(b) != 4 || b[0] > 1 {
		return AppVersion{}, badAnswer("a version", b)
	}
	return AppVersion{Baking: b[0] == 1, Major: b[1], Minor: b[2], Patch: b[3]}, nil
}

// parseAppName reads the system's answer: 01, name, version and flags, each with a length byte.
func parseAppName(b []byte) (name, version string, err error) {
	rest := b
	var fields [3]string
	if len(b) == 0 || b[0] != 1 {
		return "", "", badAnswer("an app name", b)
	}
	rest = rest[1:]
	for i := range fields {
		if len(rest) == 0 || len(rest) < 1+int(rest[0]) {
			if i == 2 && len(rest) == 0 {
				break // old systems have no flags
			}
			return "", "", badAnswer("an app name", b)
		}
		fields[i], rest = string(rest[1:1+int(rest[0])]), rest[1+int(rest[0]):]
	}
	if len(rest) != 0 || fields[0] == "" {
		return "", "", badAnswer("an app name", b)
	}
	return fields[0], fields[1], nil
}

// parsePublicKey reads a key answer: a length byte, followed by 02 and 32 bytes, by 04 X Y, or by 04, 48 bytes and Y
// (BLS).
func parsePublicKey(curve Curve, b []byte) (*tezos.PublicKey, error) {
	if len(b) < 2 || int(b[0]) != len(b)-1 {
		return nil, badAnswer("a public key", b)
	}
	w := b[1:]
	var raw []byte
	switch {
	case (curve == Ed25519 || curve == BIP25519) && len(w) == 33 && w[0] == 2:
		raw = w[1:]
	case (curve == Secp256k1 || curve == P256) && len(w) == 65 && w[0] == 4:
		raw = append([]byte{2 + w[64]&1}, w[1:33]...)
	case curve == BLS12381 && len(w) == 97 && w[0] == 4:
		raw = w[1:49]
	default:
		return nil, badAnswer("a public key", b)
	}
	key, err := tezos.NewPublicKey(curve.Tezos(), raw)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	return key, nil
}

// parseAuthKey reads the authorised key. The path is nil when no key is authorised.
func parseAuthKey(b []byte) (Curve, Path, error) {
	if len(b) == 2 && b[0] == 0 && b[1] == 0 {
		return 0, nil, nil // 2.5.1 and later, when no key is authorised
	}
	if len(b) < 1 || b[0] > byte(BLS12381) {
		return 0, nil, badAnswer("an authorised key", b)
	}
	path, err := PathFromBytes(b[1:])
	if err != nil {
		return 0, nil, badAnswer("an authorised key", b)
	}
	return Curve(b[0]), path, nil
}

// parseMarks reads main level, main round, test level, test round and main chain id.
func parseMarks(b []byte) (Marks, error) {
	if len(b) != 20 {
		return Marks{}, badAnswer("water marks", b)
	}
	at := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	return Marks{
		Main: Watermark{at(0), at(4)}, Test: Watermark{at(8), at(12)}, Chain: tezos.ChainID(b[16:]),
	}, nil
}

// parseSignature reads the answer of SIGN_WITH_HASH: the BLAKE2b-256 digest of the message, and the signature in the
// curve's form. The digest ties the answer to the question.
func parseSignature(curve Curve, digest [32]byte, b []byte) (tezos.Signature, error) {
	if len(b) < len(digest) || [32]byte(b[:32]) != digest {
		return tezos.Signature{}, badAnswer("a signature of something else", b)
	}
	raw := b[32:]
	if curve == Secp256k1 || curve == P256 {
		var err error
		if raw, err = parseDER(curve, raw); err != nil {
			return tezos.Signature{}, err
		}
	}
	sig, err := tezos.NewSignature(curve.Tezos(), raw)
	if err != nil {
		return tezos.Signature{}, fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	return sig, nil
}

// parseDER makes r ‖ s of a DER signature. Bit 0 of the first byte is the parity of the nonce point, and is not part
// of the DER. A high s is replaced by its negative, an equal signature: octez takes only a low s for secp256k1.
func parseDER(curve Curve, b []byte) ([]byte, error) {
	if len(b) < 2 || b[0]&^1 != 0x30 || int(b[1]) != len(b)-2 {
		return nil, badAnswer("a DER signature", b)
	}
	rest := b[2:]
	order := secp256k1.Params().N
	if curve == P256 {
		order = elliptic.P256().Params().N
	}
	out := make([]byte, 64)
	for i := range 2 {
		var n *big.Int
		if n, rest = derInteger(rest); n == nil || n.Sign() == 0 || n.Cmp(order) >= 0 {
			return nil, badAnswer("a DER signature", b)
		}
		if i == 1 && n.Cmp(new(big.Int).Rsh(order, 1)) > 0 {
			n.Sub(order, n)
		}
		n.FillBytes(out[32*i : 32*i+32])
	}
	if len(rest) != 0 {
		return nil, badAnswer("a DER signature", b)
	}
	return out, nil
}

// derInteger reads one non-negative integer of at most 33 bytes, or returns nil.
func derInteger(b []byte) (*big.Int, []byte) {
	if len(b) < 3 || b[0] != 2 || b[1] == 0 || b[1] > 33 || len(b) < 2+int(b[1]) || b[2]&0x80 != 0 {
		return nil, nil
	}
	end := 2 + int(b[1])
	return new(big.Int).SetBytes(b[2:end]), b[end:]
}
