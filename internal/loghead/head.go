// Package loghead is the head of an audit log in a document: the number of a record, and the link up to the record.
package loghead

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Hash is a SHA-256.
type Hash [sha256.Size]byte

// MarshalText gives hex.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads hex.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(h)) {
		return fmt.Errorf("%.80q is no SHA-256 in hex", text)
	}
	_, err := hex.Decode(h[:], text)
	return err
}

func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Head is the end of an audit log at some time. A log with the head was not written anew up to the record.
type Head struct {
	Record uint64 `json:"record"` // from 1 on
	Link   Hash   `json:"link"`   // over all records up to Record
}

// maxRecord is the largest number that every reader of JSON keeps exactly.
const maxRecord uint64 = 1 << 53

// Sound tells whether a log can have the head.
func (h Head) Sound() bool { return h.Record > 0 && h.Record <= maxRecord && h.Link != Hash{} }

// String gives RECORD:LINK, which Parse reads.
func (h Head) String() string { return fmt.Sprintf("%d:%s", h.Record, h.Link) }

// Parse reads RECORD:LINK.
func Parse(text string) (h Head, err error) {
	record, link, _ := strings.Cut(text, ":")
	if h.Record, err = strconv.ParseUint(record, 10, 64); err == nil {
		err = h.Link.UnmarshalText([]byte(link))
	}
	if err != nil || !h.Sound() {
		return Head{}, fmt.Errorf("%.120q is no RECORD:LINK, a number from 1 to %d and 64 hex digits", text, maxRecord)
	}
	return h, nil
}
