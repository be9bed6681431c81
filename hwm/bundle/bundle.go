// Package bundle is a signed file for a second machine: an instance's watermarks, ceilings, epoch, public keys and
// policy. The package takes and gives bytes, and touches no file.
//
// A bundle gives nobody the right to sign. A bundle shows the marks of its day, and only ever raises marks.
package bundle

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"highwater/hwm"
	"highwater/internal/loghead"
	"highwater/internal/tezos"
)

// FormatName and Version stand at the beginning of a bundle.
const (
	FormatName = "highwater-bundle"
	Version    = 1
)

// Bounds of a bundle.
const (
	MaxSize  = 4 << 20 // bytes; marks of some ten thousand keys, where a baker has a handful
	maxKeys  = 2_000
	maxMarks = 30_000
	maxText  = 200 // bytes of a name
)

var (
	// ErrContent is returned for a file that is no bundle, or has an impossible content.
	ErrContent = errors.New("not a usable bundle")
	// ErrVersion is returned for a bundle of a later version.
	ErrVersion = errors.New("a bundle of an unknown version")
	// ErrSignature is returned when a bundle's own instance did not sign the bundle.
	ErrSignature = errors.New("the bundle's signature is wrong: the bundle was changed on its way, " +
		"or a different instance made the bundle")
)

// Bundle is the knowledge of an instance at a moment.
type Bundle struct {
	Format   string         `json:"format"`
	Version  int            `json:"version"`
	Chain    tezos.ChainID  `json:"chain"`
	Instance hwm.InstanceID `json:"instance"` // the writer and signer
	Role     hwm.Role       `json:"role"`     // of the instance, at the moment
	Epoch    uint64         `json:"epoch"`
	Owner    hwm.InstanceID `json:"owner"` // of the epoch
	Build    string         `json:"build"`
	When     time.Time      `json:"when"` // UTC, to the millisecond
	Keys     []Key          `json:"keys"`
	Marks    []Mark         `json:"marks"`
	Ceilings []Ceiling      `json:"ceilings"`
	// AuditHead is the head of the writer's audit log, taken before the marks; null: no audit log told its head. No
	// signature in the log up to the head is above Marks.
	AuditHead *loghead.Head `json:"audit_head,omitempty"`
	// Signature is hex, by Instance, over the canonical bytes of all the rest.
	Signature string `json:"signature"`
}

// Key is a key with its allowed kinds at the writer.
type Key struct {
	PKH       tezos.PublicKeyHash `json:"pkh"`
	PublicKey string              `json:"public_key"` // base58check; empty: no device offered the key yet
	Alias     string              `json:"alias"`
	Allow     []tezos.Kind        `json:"allow"`
}

// Mark is a watermark without its digest and signature.
type Mark struct {
	PKH       tezos.PublicKeyHash `json:"pkh"`
	Kind      tezos.Kind          `json:"kind"`
	Level     int32               `json:"level"`
	Round     int32               `json:"round"`
	Source    hwm.Source          `json:"source"`
	UpdatedAt time.Time           `json:"updated_at"` // UTC, to the millisecond
}

// Ceiling is the highest level that the writer signs.
type Ceiling struct {
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Level  int32               `json:"level"`
	Source hwm.Source          `json:"source"`
}

// signing separates a bundle's signature from every further use of the key.
const signing = "highwater bundle 1\n"

// Sign puts a bundle into canonical order and signs the bundle with identity. The public key becomes Instance.
func Sign(b Bundle, identity crypto.Signer) (*Bundle, error) {
	public, ok := identity.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("an instance's key is ed25519")
	}
	b.Format, b.Version, b.Instance = FormatName, Version, hwm.InstanceID(public)
	b.canonical()
	message, err := b.message()
	if err != nil {
		return nil, err
	}
	sig, err := identity.Sign(rand.Reader, message, crypto.Hash(0))
	if err != nil {
		return nil, err
	}
	b.Signature = hex.EncodeToString(sig)
	return &b, b.sound()
}

// canonical sorts copies, and turns absent lists into empty lists.
func (b *Bundle) canonical() {
	b.When = stamp(b.When)
	b.Keys = append([]Key{}, b.Keys...)
	for i, k := range b.Keys {
		b.Keys[i].Allow = append([]tezos.Kind{}, k.Allow...)
		slices.Sort(b.Keys[i].Allow)
	}
	slices.SortFunc(b.Keys, func(x, y Key) int { return compare(x.PKH, y.PKH) })
	b.Marks = append([]Mark{}, b.Marks...)
	for i, m := range b.Marks {
		b.Marks[i].UpdatedAt = stamp(m.UpdatedAt)
	}
	slices.SortFunc(b.Marks, func(x, y Mark) int { return cmp.Or(compare(x.PKH, y.PKH), cmp.Compare(x.Kind, y.Kind)) })
	b.Ceilings = append([]Ceiling{}, b.Ceilings...)
	slices.SortFunc(b.Ceilings, func(x, y Ceiling) int { return compare(x.PKH, y.PKH) })
}

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func compare(a, b tezos.PublicKeyHash) int { return bytes.Compare(a.Bytes(), b.Bytes()) }

// message is the signed text: the bundle without its signature.
func (b Bundle) message() ([]byte, error) {
	b.Signature = ""
	body, err := json.Marshal(b)
	return append([]byte(signing), body...), err
}

// Verify tells whether Instance signed the bundle. The error is ErrSignature.
func (b *Bundle) Verify() error {
	sig, err := hex.DecodeString(b.Signature)
	if err != nil || len(sig) != ed25519.SignatureSize {
		return ErrSignature
	}
	message, err := b.message()
	if err != nil {
		return err
	}
	if !ed25519.Verify(b.Instance[:], message, sig) {
		return ErrSignature
	}
	return nil
}

// Rows are the marks, to be merged by maximum.
func (b *Bundle) Rows() []hwm.ImportRow {
	rows := make([]hwm.ImportRow, 0, len(b.Marks))
	for _, m := range b.Marks {
		rows = append(rows, hwm.ImportRow{PKH: m.PKH, Kind: m.Kind, Level: m.Level, Round: m.Round})
	}
	return rows
}

// Encode gives the bytes of a file. Parse accepts no different bytes.
func Encode(b *Bundle) ([]byte, error) {
	text, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return nil, err
	}
	if len(text) >= MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, where at most %d are read", ErrContent, len(text), MaxSize)
	}
	return append(text, '\n'), nil
}
