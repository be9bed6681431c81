package ledger

import (
	"errors"
	"fmt"
	"strings"

	"highwater/internal/tezos"
)

// Locator names a key on a Ledger, as octez prints the key: ledger://four-words-like-this/ed25519/0h/0h.
type Locator struct {
	Device string // four words, or the address (tz1…) of the root key
	Curve  Curve
	Path   Path // from the root of the seed, with 44'/1729'
}

// ErrBadLocator is returned for a text that is not a key's locator.
var ErrBadLocator = errors.New("not a Ledger locator")

const locatorScheme = "ledger://"

// String is the text that octez prints.
func (l Locator) String() string {
	return locatorScheme + l.Device + "/" + l.Curve.String() + "/" + l.Path.String()
}

// ParseLocator reads a locator. Without a curve, the curve is ed25519, as in octez. Components of an ed25519 path
// must be hardened.
func ParseLocator(text string) (Locator, error) {
	rest, ok := strings.CutPrefix(text, locatorScheme)
	if !ok {
		return Locator{}, fmt.Errorf("%w: %q does not begin with %s", ErrBadLocator, text, locatorScheme)
	}
	name, rest, _ := strings.Cut(rest, "/")
	if err := checkDeviceName(name); err != nil {
		return Locator{}, err
	}
	l := Locator{Device: name}
	first, tail, _ := strings.Cut(rest, "/")
	if curve, err := ParseCurve(first); err == nil {
		l.Curve, rest = curve, tail
	}
	path, err := ParsePath(rest)
	if err != nil {
		return Locator{}, fmt.Errorf("%w: %w", ErrBadLocator, err)
	}
	for _, c := range path {
		if l.Curve == Ed25519 && c&Hardened == 0 {
			return Locator{}, fmt.Errorf("%w: all components of an ed25519 path are hardened, as in 0h/0h", ErrBadLocator)
		}
	}
	l.Path = path
	return l, nil
}

// checkDeviceName takes four words, or an address.
func checkDeviceName(name string) error {
	if _, err := tezos.ParsePublicKeyHash(name); err == nil {
		return nil
	}
	words := strings.Split(name, "-")
	if len(words) != 4 {
		return fmt.Errorf("%w: %q is neither a device's four words nor an address", ErrBadLocator, name)
	}
	for _, w := range words {
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			return fmt.Errorf("%w: %q is not a word", ErrBadLocator, w)
		}
	}
	return nil
}
