// Package audit keeps a chained log of every decision, for proofs: each record holds a hash over all records before.
package audit

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"highwater/internal/loghead"
	"highwater/internal/tezos"
)

// Place is a level and round of a mark.
type Place struct {
	Level int32 `json:"level"`
	Round int32 `json:"round"`
}

// NoPlace stands for the lack of a mark.
var NoPlace = Place{-1, -1}

// Decision is the end of one request for a signature.
type Decision struct {
	At        time.Time
	Chain     tezos.ChainID
	PKH       tezos.PublicKeyHash
	Kind      tezos.Kind // zero: the payload was not decoded
	Level     int32
	Round     int32
	Digest    [32]byte // BLAKE2b of the payload
	Client    string   // address without a port, or "unix"
	Before    Place    // the mark when the request was decided; NoPlace: no mark
	Moved     bool     // the request moved the mark to its own level and round
	Verdict   string   // signed, replayed, registered, refused, failed
	Reason    string   // one word; empty for a signature
	Device    string
	Took      time.Duration
	Signature tezos.Signature // only its hash is kept
	Stranger  bool            // of a key, chain or payload that the instance does not serve
}

// given tells whether a signature left.
func (d *Decision) given() bool { return d.Verdict == "signed" || d.Verdict == "registered" }

// What an Event tells of.
const (
	Started = "start"   // of a run
	Ended   = "end"     // of a run, in order
	Gap     = "gap"     // decisions are missing
	Removed = "removed" // the oldest files, for the bound of the log
	Role    = "role"    // a change of role
	Heard   = "heard"   // the head of another instance's log, in a signed document or in the register's record
)

// Event is a record of the log itself, or of the instance.
type Event struct {
	At    time.Time `json:"at"`
	What  string    `json:"what"`
	Why   string    `json:"why,omitempty"`
	Count uint64    `json:"count,omitempty"` // of a gap: the decisions that are missing, where known
	UpTo  uint64    `json:"up_to,omitempty"` // of removed files: their last record
	File  string    `json:"file,omitempty"`  // of a gap: bytes that were no record are kept in this file
	Bytes int64     `json:"bytes,omitempty"` // of a gap: how many
	// Peer and Head are of a head heard: the instance in hex (empty: not known), and the end of its log.
	Peer string        `json:"peer,omitempty"`
	Head *loghead.Head `json:"head,omitempty"`
}

// header begins each file.
type header struct {
	Version  int       `json:"version"`
	Instance string    `json:"instance"`
	Chain    string    `json:"chain"`
	Made     time.Time `json:"made"`
	Record   uint64    `json:"record"` // the header's own number
	Before   Hash      `json:"before"` // the link of the record before
}

const version = 1

// Types of a record: its first byte.
const (
	typeHeader   = 'H' // JSON of header
	typeName     = 'N' // a text; decisions name the texts of their file by number, from 1 on
	typeDecision = 'D' // decisionLen bytes
	typeEvent    = 'E' // JSON of Event
)

// decisionLen is the length of a decision without its type: with the hash before, two blocks of SHA-256.
const decisionLen = 86

// names gives texts their numbers in a file.
type names interface{ number(text string) uint16 }

// appendDecision adds the bytes of a decision. All numbers are big endian.
func appendDecision(b []byte, d *Decision, of names) []byte {
	put := binary.BigEndian
	var millis [8]byte
	put.PutUint64(millis[:], uint64(max(d.At.UnixMilli(), 0)))
	b = append(b, millis[2:]...) // enough for some thousand years
	for _, v := range []int32{d.Level, d.Round, d.Before.Level, d.Before.Round} {
		b = put.AppendUint32(b, uint32(v)) //nolint:gosec // the bits of a number with a sign
	}
	b = append(b, byte(d.Kind), moved(d.Moved))
	for _, text := range []string{d.PKH.String(), d.Chain.String(), d.Client, d.Verdict, d.Reason, d.Device} {
		b = put.AppendUint16(b, of.number(text))
	}
	b = put.AppendUint16(b, tenths(d.Took))
	b = append(b, d.Digest[:]...)
	short := shortHash(d.Signature)
	return append(b, short[:]...)
}

func moved(yes bool) byte {
	if yes {
		return 1
	}
	return 0
}

// tenths is a time in tenths of a millisecond: up to 6.5 s.
func tenths(d time.Duration) uint16 {
	return uint16(min(max(d/(100*time.Microsecond), 0), math.MaxUint16))
}

// Row is a record as shown. Exactly one of Decision and Event is there.
type Row struct {
	Record   uint64    `json:"record"`
	Link     Hash      `json:"link"`
	At       time.Time `json:"at"`
	Decision *Decided  `json:"decision,omitempty"`
	Event    *Event    `json:"event,omitempty"`
}

// Decided is a decision as read back.
type Decided struct {
	Chain   string     `json:"chain"`
	PKH     string     `json:"pkh"`
	Kind    tezos.Kind `json:"-"`
	Word    string     `json:"kind"` // empty: the payload was not decoded
	Level   int32      `json:"level"`
	Round   int32      `json:"round"`
	Payload string     `json:"payload_hash"` // hex; empty: not decoded
	Client  string     `json:"client"`
	Before  *Place     `json:"mark_before"` // null: no mark
	After   *Place     `json:"mark_after"`
	Verdict string     `json:"verdict"`
	Reason  string     `json:"reason,omitempty"`
	Device  string     `json:"device,omitempty"`
	TookMS  float64    `json:"took_ms"`
	Signed  string     `json:"signature_hash,omitempty"` // hex of the first 16 bytes of SHA-256
}

// soundDecision judges the bytes of a decision in a file with so many texts.
func soundDecision(b []byte, texts int) error {
	if len(b) != decisionLen {
		return fmt.Errorf("a decision of %d bytes", len(b))
	}
	for i := 24; i < 36; i += 2 {
		if n := int(binary.BigEndian.Uint16(b[i:])); n == 0 || n > texts {
			return fmt.Errorf("text %d of %d", n, texts)
		}
	}
	return nil
}

// readDecision reads the bytes of a decision, with the texts of its file.
func readDecision(b []byte, texts []string) (at time.Time, d *Decided, err error) {
	if err := soundDecision(b, len(texts)); err != nil {
		return at, nil, err
	}
	get := binary.BigEndian
	millis := int64(get.Uint16(b))<<32 | int64(get.Uint32(b[2:]))
	num := func(i int) int32 { return int32(get.Uint32(b[6+4*i:])) } //nolint:gosec // the bits of a number with a sign
	d = &Decided{Level: num(0), Round: num(1), Kind: tezos.Kind(b[22])}
	if d.Kind != 0 {
		d.Word = d.Kind.String()
	}
	for i, to := range []*string{&d.PKH, &d.Chain, &d.Client, &d.Verdict, &d.Reason, &d.Device} {
		*to = texts[get.Uint16(b[24+2*i:])-1]
	}
	if before := (Place{num(2), num(3)}); before != NoPlace {
		d.Before, d.After = &before, &before
	}
	if b[23] == 1 {
		d.After = &Place{d.Level, d.Round}
	}
	d.TookMS = float64(get.Uint16(b[36:])) / 10
	d.Payload, d.Signed = hexUnlessZero(b[38:70]), hexUnlessZero(b[70:86])
	return time.UnixMilli(millis).UTC(), d, nil
}

func readEvent(b []byte) (*Event, error) {
	e := &Event{}
	if err := json.Unmarshal(b, e); err != nil {
		return nil, fmt.Errorf("unreadable event: %w", err)
	}
	return e, nil
}
