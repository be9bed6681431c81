package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"highwater/internal/tezos"
)

// Curve is a derivation scheme of the app, with the value of the P2 byte.
type Curve byte

// The curves. BIP25519 keys are ed25519 keys (tz1), derived in another way. Versions 2.5.1 and later know BLS.
const (
	Ed25519   Curve = 0
	Secp256k1 Curve = 1
	P256      Curve = 2
	BIP25519  Curve = 3
	BLS12381  Curve = 4
)

var curveNames = []string{"ed25519", "secp256k1", "P-256", "bip25519", "bls12-381"}

// String is the name that octez prints in locators. Octez has no name for BLS.
func (c Curve) String() string {
	if int(c) < len(curveNames) {
		return curveNames[c]
	}
	return fmt.Sprintf("curve(%d)", byte(c))
}

// ParseCurve reads a curve's name as octez prints the name, in any case. secp256r1 and p256 are P-256.
func ParseCurve(text string) (Curve, error) {
	if strings.EqualFold(text, "secp256r1") || strings.EqualFold(text, "p256") {
		return P256, nil
	}
	for i, name := range curveNames {
		if strings.EqualFold(name, text) {
			return Curve(i), nil
		}
	}
	return 0, fmt.Errorf("unknown curve %q: the curves are ed25519, secp256k1, P-256, bip25519", text)
}

// Tezos is the signature scheme of the curve's keys.
func (c Curve) Tezos() tezos.Curve {
	switch c {
	case Secp256k1:
		return tezos.Secp256k1
	case P256:
		return tezos.P256
	case BLS12381:
		return tezos.BLS12381
	case Ed25519, BIP25519:
	}
	return tezos.Ed25519
}

// Hardened is the bit of a hardened component of a path.
const Hardened = 0x80000000

// MaxPath is the highest number of components that the app takes.
const MaxPath = 10

// Path is a derivation path from the root of the seed: 44'/1729'/0'/0' has four components, hardened bit included.
type Path []uint32

// Root is 44'/1729'. The app derives nothing outside of Root, and the ed25519 key at Root names the device.
var Root = Path{44 | Hardened, 1729 | Hardened}

// DefaultPath is 44'/1729'/0'/0', the default of octez-client.
var DefaultPath = Path{44 | Hardened, 1729 | Hardened, Hardened, Hardened}

// ErrBadPath is returned for bytes or a text that are no path.
var ErrBadPath = errors.New("not a derivation path")

// String is the path below 44'/1729', as octez prints the path: 0h/0h. A path outside 44'/1729' is printed whole,
// with a leading m. A path with 44'/1729' twice at its beginning is printed whole as well: ParsePath would take the
// second pair for the root.
func (p Path) String() string {
	parts, rest := []string{}, p
	if p.belowRoot() && !p[len(Root):].belowRoot() {
		rest = p[len(Root):]
	} else {
		parts = append(parts, "m")
	}
	for _, c := range rest {
		s := strconv.FormatUint(uint64(c&^Hardened), 10)
		if c&Hardened != 0 {
			s += "h"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "/")
}

func (p Path) belowRoot() bool { return len(p) >= len(Root) && slices.Equal(p[:len(Root)], Root) }

// ParsePath reads a path below 44'/1729': "0h/0h" or "0'/0'". A text with a leading "m/", or with 44'/1729' at the
// beginning, is the whole path. The empty text is 44'/1729' itself.
func ParsePath(text string) (Path, error) {
	whole := false
	if rest, ok := strings.CutPrefix(text, "m/"); ok {
		text, whole = rest, true
	}
	var p Path
	for s := range strings.SplitSeq(text, "/") {
		if text == "" {
			break
		}
		digits := strings.TrimRight(s, "h'")
		n, err := strconv.ParseUint(digits, 10, 31)
		if err != nil || len(s)-len(digits) > 1 {
			return nil, fmt.Errorf("%w: %q", ErrBadPath, text)
		}
		if len(s) > len(digits) {
			n |= Hardened
		}
		p = append(p, uint32(n))
	}
	if !whole && !p.belowRoot() {
		p = append(slices.Clone(Root), p...)
	}
	if len(p) == 0 || len(p) > MaxPath {
		return nil, fmt.Errorf("%w: %q has %d components, not 1 to %d", ErrBadPath, text, len(p), MaxPath)
	}
	return p, nil
}

// Bytes is the wire form: a count byte, and 4 bytes for each component.
func (p Path) Bytes() []byte {
	b := append(make([]byte, 0, 1+4*MaxPath), byte(len(p)&0xff))
	for _, c := range p {
		b = binary.BigEndian.AppendUint32(b, c)
	}
	return b
}

// PathFromBytes reads the wire form, which must fill b.
func PathFromBytes(b []byte) (Path, error) {
	if len(b) == 0 || b[0] == 0 || b[0] > MaxPath || len(b) != 1+4*int(b[0]) {
		return nil, fmt.Errorf("%w: % x", ErrBadPath, b)
	}
	p := make(Path, b[0])
	for i := range p {
		p[i] = binary.BigEndian.Uint32(b[1+4*i:])
	}
	return p, nil
}
