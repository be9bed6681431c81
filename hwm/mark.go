// Package hwm is the rule that keeps a key from signing twice: marks (high watermarks), floors, ceilings, the
// decision, the encoding of the records, and the role of an instance. The package is pure: no I/O, no clock.
package hwm

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"highwater/internal/tezos"
)

// Key names one mark: one kind, of one key, on one chain.
type Key struct {
	Chain tezos.ChainID
	PKH   tezos.PublicKeyHash
	Kind  tezos.Kind
}

// String is for logs and errors.
func (k Key) String() string { return fmt.Sprintf("%s %s on %s", k.Kind, k.PKH, k.Chain) }

// KeysOf lists the marks of a key on a chain, in the order in which kinds are shown.
func KeysOf(chain tezos.ChainID, pkh tezos.PublicKeyHash) []Key {
	out := make([]Key, 0, len(tezos.Kinds))
	for _, kind := range tezos.Kinds {
		out = append(out, Key{chain, pkh, kind})
	}
	return out
}

// Position is a place in a chain's history: level first, then round. Neither is negative.
type Position struct {
	Level int32 `json:"level"`
	Round int32 `json:"round"`
}

// Compare orders positions by level, then by round. Compare does not subtract: a difference of two int32 would wrap.
func (p Position) Compare(q Position) int {
	return cmp.Or(cmp.Compare(p.Level, q.Level), cmp.Compare(p.Round, q.Round))
}

func (p Position) String() string {
	if p.Round == MaxRound {
		return fmt.Sprintf("level %d, any round", p.Level)
	}
	return fmt.Sprintf("level %d round %d", p.Level, p.Round)
}

// MaxRound is the round of a floor: nothing at its level can be above it.
const MaxRound = math.MaxInt32

// Source says where a mark came from.
type Source uint8

// The sources. The values are on disk.
const (
	SourceSigned   Source = 1 // a request that was about to be signed
	SourceSet      Source = 2 // an operator's `hwm set`, or `activate --level`
	SourceImport   Source = 3 // a watermark file of this signer, or of a foreign signer
	SourceDevice   Source = 4 // the device's own mark was ahead
	SourcePeer     Source = 5 // the peer: followed, or handed over
	SourceTakeover Source = 6 // the floor of a takeover
	SourceLowered  Source = 7 // an offline `hwm lower`
	SourceHorizon  Source = 8 // the horizon of a run that did not end in order: nobody knows the last signature below
)

var sourceNames = map[Source]string{
	SourceSigned: "signed", SourceSet: "set", SourceImport: "import", SourceDevice: "device",
	SourcePeer: "peer", SourceTakeover: "takeover", SourceLowered: "lowered", SourceHorizon: "horizon",
}

func (s Source) String() string {
	if name, ok := sourceNames[s]; ok {
		return name
	}
	return fmt.Sprintf("source(%d)", uint8(s))
}

// Known tells whether this program knows the source.
func (s Source) Known() bool { return sourceNames[s] != "" }

// Told is the source as told to another instance: an earlier version knows no horizon, and refuses an unknown source.
func (s Source) Told() Source {
	if s == SourceHorizon {
		return SourceTakeover
	}
	return s
}

// MarshalText carries the name through JSON.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (s *Source) UnmarshalText(b []byte) error {
	for v, name := range sourceNames {
		if name == string(b) {
			*s = v
			return nil
		}
	}
	return fmt.Errorf("unknown source %q", b)
}

// Mark is the highest position that a key was asked to sign for one kind: at or below it nothing new is ever signed.
//
// A mark that a request made has the digest of its payload, and its signature once made; any other mark (a floor) has
// neither.
type Mark struct {
	Position
	Digest    [32]byte // BLAKE2b-256 of the payload; zero for a floor
	HasDigest bool
	Signature tezos.Signature // zero when none is kept
	At        time.Time       // UTC, to the millisecond
	Source    Source
}

// Floor is the mark that says "nothing at or below level".
func Floor(level int32, at time.Time, source Source) Mark {
	return Mark{Position: Position{level, MaxRound}, At: at, Source: source}
}

// MarkFor is the mark that a request makes before it is signed.
func MarkFor(req tezos.Request, at time.Time) Mark {
	return Mark{
		Position: Position{req.Level, req.Round}, Digest: req.Digest, HasDigest: true, At: at, Source: SourceSigned,
	}
}

// Above tells whether m is strictly above other.
func (m Mark) Above(other Mark) bool { return m.Compare(other.Position) > 0 }

// Ceiling is "nothing above Level" for a key on a chain, all kinds.
type Ceiling struct {
	Level  int32
	At     time.Time
	Source Source
}

// Row is a mark with its key, for lists and merges.
type Row struct {
	Key
	Mark
}

// CeilingKey names a ceiling.
type CeilingKey struct {
	Chain tezos.ChainID
	PKH   tezos.PublicKeyHash
}
