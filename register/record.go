package register

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// NewLife draws the name of a process.
func NewLife() string { return random() }

func random() string {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return hex.EncodeToString(b)
}

// Format is the version of the record in this program.
const Format = 1

// Bounds of a record from the register.
const (
	maxRecord = 1 << 20 // bytes; etcd itself refuses more than 1.5 MiB in a request
	maxMarks  = 5_000
	maxLife   = 64 // characters, as maxNonce
	maxNonce  = 64
	maxEpoch  = 1 << 53 // JSON numbers stay exact
)

// Record is the value in the register, for a chain and a group of signing keys.
type Record struct {
	Format int           `json:"format"`
	Chain  tezos.ChainID `json:"chain"`
	// Owner is the instance that may sign; zero after a release.
	Owner hwm.InstanceID `json:"owner"`
	// Next is the receiver of a release; zero: any instance.
	Next hwm.InstanceID `json:"next"`
	// Asked is the instance that asks the owner for the right; zero: nobody asks.
	Asked hwm.InstanceID `json:"asked"`
	// Life is the owner's process. Another process of the same instance is not the owner. After a release Life is the
	// head of the last owner's audit log, or empty: see AuditHead.
	Life string `json:"life"`
	// Priority is the owner's: a standby with a smaller number may ask for the right.
	Priority int32  `json:"priority,omitempty"`
	Epoch    uint64 `json:"epoch"` // grows with each acquisition and each release
	// The owner may sign the levels above Floor, up to and including Horizon. After a release Horizon is the highest
	// level signed.
	Floor   int32 `json:"floor"`
	Horizon int32 `json:"horizon"`
	// Marks are the exact marks of a release: the next owner starts above them, instead of above Horizon, and carries
	// them on.
	Marks []Mark `json:"marks,omitempty"`
	Nonce string `json:"nonce"` // new in each write: no two records are equal
}

// Mark is the highest signed position of a key and kind.
type Mark struct {
	PKH   tezos.PublicKeyHash `json:"pkh"`
	Kind  tezos.Kind          `json:"kind"`
	Level int32               `json:"level"`
	Round int32               `json:"round"`
}

func (m Mark) position() hwm.Position { return hwm.Position{Level: m.Level, Round: m.Round} }

// FloorOf is the floor of a key and kind under the record.
func (r Record) FloorOf(pkh tezos.PublicKeyHash, kind tezos.Kind) hwm.Position {
	for _, m := range r.Marks {
		if m.PKH == pkh && m.Kind == kind {
			return m.position()
		}
	}
	return hwm.Position{Level: r.Floor, Round: hwm.MaxRound}
}

// Released tells whether the last owner gave the right away in order.
func (r Record) Released() bool { return r.Owner == hwm.InstanceID{} }

// encode gives the record's bytes, with a new nonce.
func (r Record) encode() []byte {
	r.Format = Format
	r.Nonce = random()
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // only plain fields, with text forms that do not fail
	}
	return b
}

// Parse reads a record without an unknown field, and without a byte after the record. Errors wrap ErrUnreadable.
func Parse(b []byte) (Record, error) {
	if len(b) > maxRecord {
		return Record{}, fmt.Errorf("%w: %d bytes are too long", ErrUnreadable, len(b))
	}
	var version struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &version); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if version.Format != Format {
		return Record{}, fmt.Errorf("%w: format %d, and format %d is known here", ErrUnreadable, version.Format, Format)
	}
	var r Record
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&r); err != nil {
		return Record{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Record{}, fmt.Errorf("%w: something follows the record", ErrUnreadable)
	}
	if !r.sound() {
		return Record{}, fmt.Errorf("%w: impossible fields", ErrUnreadable)
	}
	return r, nil
}

func (r Record) sound() bool {
	if r.Epoch > maxEpoch || r.Priority < 0 || r.Floor < 0 || r.Horizon < r.Floor || r.Nonce == "" ||
		len(r.Nonce) > maxNonce || len(r.Life) > maxLife || len(r.Marks) > maxMarks ||
		!r.Released() && r.Life == "" {
		return false
	}
	return !slices.ContainsFunc(r.Marks, func(m Mark) bool {
		return m.Level < 0 || m.Round < 0 || !slices.Contains(tezos.Kinds, m.Kind)
	})
}
