package tezos

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/mr-tron/base58"
)

// ErrBase58 is returned when a text is not base58check, has a wrong checksum, or is not of the expected kind.
var ErrBase58 = errors.New("not a valid base58check text")

// maxText bounds a text for the base58 decoder, which takes quadratic time. The longest text of the table is a BLS
// signature, 142 characters.
const maxText = 256

const checksumLen = 4

// format is one row of the base58check table: the name of the text, its prefix, and the length of its payload in
// bytes.
type format struct {
	name   string
	prefix []byte
	size   int
}

// The prefixes of Octez, src/lib_crypto/base58.ml and the modules of each hash and key.
var (
	formatEd25519Hash   = format{"ed25519 public key hash (tz1)", []byte{6, 161, 159}, 20}
	formatSecp256k1Hash = format{"secp256k1 public key hash (tz2)", []byte{6, 161, 161}, 20}
	formatP256Hash      = format{"P-256 public key hash (tz3)", []byte{6, 161, 164}, 20}
	formatBLSHash       = format{"BLS12-381 public key hash (tz4)", []byte{6, 161, 166}, 20}
	formatMLDSA44Hash   = format{"ML-DSA-44 public key hash (tz5)", []byte{6, 161, 169}, 20}

	formatEd25519Key   = format{"ed25519 public key (edpk)", []byte{13, 15, 37, 217}, 32}
	formatSecp256k1Key = format{"secp256k1 public key (sppk)", []byte{3, 254, 226, 86}, 33}
	formatP256Key      = format{"P-256 public key (p2pk)", []byte{3, 178, 139, 127}, 33}
	formatBLSKey       = format{"BLS12-381 public key (BLpk)", []byte{6, 149, 135, 204}, 48}

	formatEd25519Sig   = format{"ed25519 signature (edsig)", []byte{9, 245, 205, 134, 18}, 64}
	formatSecp256k1Sig = format{"secp256k1 signature (spsig1)", []byte{13, 115, 101, 19, 63}, 64}
	formatP256Sig      = format{"P-256 signature (p2sig)", []byte{54, 240, 44, 52}, 64}
	formatGenericSig   = format{"generic signature (sig)", []byte{4, 130, 43}, 64}
	formatBLSSig       = format{"BLS12-381 signature (BLsig)", []byte{40, 171, 64, 207}, 96}

	formatChainID     = format{"chain id (Net)", []byte{87, 82, 0}, 4}
	formatBlockHash   = format{"block hash (B)", []byte{1, 52}, 32}
	formatOpHash      = format{"operation hash (o)", []byte{5, 116}, 32}
	formatPayloadHash = format{"block payload hash (vh)", []byte{1, 106, 242}, 32}
)

func (f format) encode(payload []byte) string {
	var room [128]byte // on the stack: fits all formats
	raw := append(append(room[:0], f.prefix...), payload...)
	sum := checksum(raw)
	return base58.Encode(append(raw, sum[:]...))
}

// decodeAs decodes text in the first of the formats with the text's prefix and length, and returns the index of the
// format.
func decodeAs(text string, formats ...format) (int, []byte, error) {
	raw, err := decodeChecked(text)
	if err != nil {
		return 0, nil, err
	}
	for i, f := range formats {
		if len(raw) == len(f.prefix)+f.size && bytes.HasPrefix(raw, f.prefix) {
			return i, raw[len(f.prefix):], nil
		}
	}
	return 0, nil, fmt.Errorf("%w: %s is not of the expected kind: %s", ErrBase58, quoteText(text), names(formats))
}

func decodeChecked(text string) ([]byte, error) {
	if text == "" {
		return nil, fmt.Errorf("%w: the text is empty", ErrBase58)
	}
	if len(text) > maxText {
		return nil, fmt.Errorf("%w: %d characters, the longest has %d", ErrBase58, len(text), maxText)
	}
	raw, err := base58.Decode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBase58, quoteText(text), err)
	}
	if len(raw) < checksumLen {
		return nil, fmt.Errorf("%w: %s is too short", ErrBase58, quoteText(text))
	}
	body, sum := raw[:len(raw)-checksumLen], raw[len(raw)-checksumLen:]
	if checksum(body) != [checksumLen]byte(sum) {
		return nil, fmt.Errorf("%w: the checksum of %s is wrong: a character was mistyped or lost",
			ErrBase58, quoteText(text))
	}
	return body, nil
}

func checksum(b []byte) [checksumLen]byte {
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return [checksumLen]byte(second[:])
}

func names(formats []format) string {
	out := make([]string, 0, len(formats))
	for _, f := range formats {
		out = append(out, f.name)
	}
	return strings.Join(out, ", ")
}

// quoteText quotes the user's text, shortened, to keep an error in one line.
func quoteText(text string) string {
	const longest = 48
	if len(text) > longest {
		return fmt.Sprintf("%q…", text[:longest])
	}
	return fmt.Sprintf("%q", text)
}
