package ledgersim

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"filippo.io/edwards25519"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"highwater/internal/tezos"
	"highwater/ledger"
)

// errDerivation is answered as 9001: the OS refuses the path.
var errDerivation = errors.New("the path is refused")

// signKey is a derived private key: the app's encoding of the public key, the compressed form, and signatures.
type signKey interface {
	// point is W: 02 and 32 bytes, 04 X Y, or 04, 48 bytes and Y.
	point() []byte
	// compressed is the input of a public key hash.
	compressed() []byte
	// sign signs a message (BLS) or its digest (all other curves), as the app sends signatures.
	sign(message, digest []byte) []byte
}

// wallet derives the app's keys from a seed.
type wallet struct{ seed []byte }

// newWallet takes a BIP-39 mnemonic (12 to 24 words) as the device does, without checking the checksum. Any other
// text decides the keys in the emulator's own way.
func newWallet(text string) (wallet, error) {
	salt, words := "mnemonic", strings.Fields(text)
	if n := len(words); n < 12 || n > 24 || n%3 != 0 {
		salt = "highwater/ledgersim"
	} else {
		text = strings.Join(words, " ")
	}
	seed, err := pbkdf2.Key(sha512.New, text, []byte(salt), 2048, 64)
	return wallet{seed}, err
}

// derive returns the key of a curve at a path. A path outside 44'/1729' is refused, as the OS refuses it, except for
// BLS, for which the recorded device checked nothing. A component without the hardened bit is refused where SLIP-10
// has no such components.
func (w wallet) derive(curve ledger.Curve, path ledger.Path) (signKey, error) {
	if len(path) > ledger.MaxPath {
		return nil, errDerivation
	}
	if curve == ledger.BLS12381 {
		return newBLSKey(w.seed, path)
	}
	if len(path) < 2 || path[0] != ledger.Root[0] || path[1] != ledger.Root[1] {
		return nil, errDerivation
	}
	switch curve {
	case ledger.Ed25519:
		return w.slip10Ed25519(path)
	case ledger.Secp256k1:
		curve := secp256k1.S256() //nolint:staticcheck // both ECDSA curves behind one interface; it is an emulator's key
		return newECKey(curve, w.bip32(curve, "Bitcoin seed", path)), nil
	case ledger.P256:
		return newECKey(elliptic.P256(), w.bip32(elliptic.P256(), "Nist256p1 seed", path)), nil
	case ledger.BIP25519:
		return w.bip32Ed25519(path)
	case ledger.BLS12381: // above
	}
	return nil, fmt.Errorf("curve %d is unknown", curve)
}

// publicKey is the key in Tezos' form.
func publicKey(curve ledger.Curve, k signKey) (*tezos.PublicKey, error) {
	return tezos.NewPublicKey(curve.Tezos(), k.compressed())
}

func hmac512(key []byte, parts ...[]byte) (left, right []byte) {
	mac := hmac.New(sha512.New, key)
	for _, p := range parts {
		mac.Write(p)
	}
	sum := mac.Sum(nil)
	return sum[:32], sum[32:]
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// slip10Ed25519 is SLIP-0010 for ed25519.
func (w wallet) slip10Ed25519(path ledger.Path) (signKey, error) {
	key, chain := hmac512([]byte("ed25519 seed"), w.seed)
	for _, c := range path {
		if c&ledger.Hardened == 0 {
			return nil, errDerivation
		}
		key, chain = hmac512(chain, []byte{0}, key, be32(c))
	}
	return edKey(ed25519.NewKeyFromSeed(key)), nil
}

// bip32 is BIP-32 (secp256k1), and SLIP-0010 (P-256). The two schemes differ in the retries of a bad scalar.
func (w wallet) bip32(curve elliptic.Curve, salt string, path ledger.Path) *big.Int {
	order := curve.Params().N
	key, chain := hmac512([]byte(salt), w.seed)
	for bad(key, order) {
		key, chain = hmac512([]byte(salt), append(key, chain...))
	}
	for _, c := range path {
		data := append([]byte{0}, key...)
		if c&ledger.Hardened == 0 {
			data = newECKey(curve, new(big.Int).SetBytes(key)).compressed()
		}
		left, right := hmac512(chain, data, be32(c))
		sum := new(big.Int).Add(new(big.Int).SetBytes(left), new(big.Int).SetBytes(key))
		for sum.Mod(sum, order); bad(left, order) || sum.Sign() == 0; sum.Mod(sum, order) {
			left, right = hmac512(chain, []byte{1}, right, be32(c))
			sum = new(big.Int).Add(new(big.Int).SetBytes(left), new(big.Int).SetBytes(key))
		}
		key, chain = sum.FillBytes(make([]byte, 32)), right
	}
	return new(big.Int).SetBytes(key)
}

func bad(scalar []byte, order *big.Int) bool {
	n := new(big.Int).SetBytes(scalar)
	return n.Sign() == 0 || n.Cmp(order) >= 0
}

type edKey ed25519.PrivateKey

// compressed is the second half of Go's private key.
func (k edKey) compressed() []byte { return k[ed25519.SeedSize:] }

func (k edKey) point() []byte { return append([]byte{2}, k.compressed()...) }
func (k edKey) sign(_, digest []byte) []byte {
	return ed25519.Sign(ed25519.PrivateKey(k), digest)
}

// extKey is an extended ed25519 key (BIP32-Ed25519, Khovratovich and Law): the scalar kL, and kR, the nonce's half.
// Children derive from both halves. The app's signatures use neither half in the scheme's way.
type extKey struct {
	left, right, chain []byte // little-endian scalar, 32 bytes, chain code
	pub                []byte
}

// bip32Ed25519 derives as the system does. The app takes the left half of the result for the 32-byte seed of an
// ordinary ed25519 key.
func (w wallet) bip32Ed25519(path ledger.Path) (signKey, error) {
	chain := hmac.New(sha256.New, []byte("ed25519 seed"))
	chain.Write(append([]byte{1}, w.seed...))
	left, right := hmac512([]byte("ed25519 seed"), w.seed)
	for left[31]&0x20 != 0 {
		left, right = hmac512([]byte("ed25519 seed"), left, right)
	}
	left[0] &= 0xf8
	left[31] = left[31]&0x7f | 0x40
	k, err := newExtKey(left, right, chain.Sum(nil))
	for _, c := range path {
		if err != nil {
			break
		}
		k, err = k.child(c)
	}
	if err != nil {
		return nil, err
	}
	return edKey(ed25519.NewKeyFromSeed(k.left)), nil
}

func newExtKey(left, right, chain []byte) (*extKey, error) {
	s, err := scalarOf(left)
	if err != nil {
		return nil, err
	}
	return &extKey{left: left, right: right, chain: chain, pub: new(edwards25519.Point).ScalarBaseMult(s).Bytes()}, nil
}

// scalarOf reduces 32 little-endian bytes modulo the order.
func scalarOf(b []byte) (*edwards25519.Scalar, error) {
	return edwards25519.NewScalar().SetUniformBytes(append(append([]byte{}, b...), make([]byte, 64-len(b))...))
}

func (k *extKey) child(index uint32) (*extKey, error) {
	tag, body := []byte{2}, k.pub
	if index&ledger.Hardened != 0 {
		tag, body = []byte{0}, append(append([]byte{}, k.left...), k.right...)
	}
	le := binary.LittleEndian.AppendUint32(nil, index)
	zl, zr := hmac512(k.chain, tag, body, le)
	_, chain := hmac512(k.chain, []byte{tag[0] + 1}, body, le)
	// kL' = 8 · zL[:28] + kL; kR' = zR + kR mod 2^256, little endian.
	left := addLE(mul8(zl[:28]), k.left)
	return newExtKey(left, addLE(zr, k.right), chain)
}

func mul8(b []byte) []byte {
	out := make([]byte, 32)
	carry := uint16(0)
	for i := range out {
		v := carry
		if i < len(b) {
			v += uint16(b[i]) << 3
		}
		out[i], carry = byte(v&0xff), v>>8
	}
	return out
}

func addLE(a, b []byte) []byte {
	out := make([]byte, 32)
	carry := uint16(0)
	for i := range out {
		v := uint16(a[i]) + uint16(b[i]) + carry
		out[i], carry = byte(v&0xff), v>>8
	}
	return out
}

// must is for calls that cannot fail: the arguments have the right length by construction.
func must[T any](v T, err error) T {
	if err != nil {
		panic("ledgersim: " + err.Error())
	}
	return v
}
