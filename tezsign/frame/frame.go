// Package frame is the framing of a TezSign gadget, the same in both directions and on both interfaces:
//
//	56 · type 1 · id 16 · size 4 (little endian) · parity 1 (XOR of the 22 bytes before) · payload
//
// The package is pure: bytes in, frames out.
package frame

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// Sizes on the wire, in bytes.
const (
	HeaderLen = 23
	// MaxDevicePayload is a gadget's limit: a gadget drops a header with a larger size.
	MaxDevicePayload = 25 << 20
	// MaxAnswer is the host's limit for answers: the longest answer is a status of some 200 keys, at 285 bytes each.
	MaxAnswer = 64 << 10
	// MaxRequest is the host's limit for requests: a block of a few hundred bytes, or a list of key ids.
	MaxRequest = 64 << 10
)

const magic = 0x56

// Offsets in the header.
const (
	offType   = 1
	offID     = 2
	offSize   = 18
	offParity = 22
)

// Type is the type of a frame.
type Type byte

// The types of frames. Accept says "received, the work begins", not "signed". Retry (with a zero id) says that the
// sender had a read error, and asks for every request without an Accept.
const (
	Request   Type = 1
	Response  Type = 2
	Accept    Type = 3
	Retry     Type = 4
	KeepAlive Type = 5
)

// String is the type's name.
func (t Type) String() string {
	switch t {
	case Request:
		return "request"
	case Response:
		return "response"
	case Accept:
		return "accept"
	case Retry:
		return "retry"
	case KeepAlive:
		return "keep-alive"
	default:
		return fmt.Sprintf("type(%d)", byte(t))
	}
}

// ID pairs a request with its accept and its response. The requester chooses the id.
type ID [16]byte

// NewID makes a fresh random id.
func NewID() ID {
	var id ID
	rand.Read(id[:]) // never fails: rand.Read ends the program instead
	return id
}

// String is the id in hex, for logs.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Frame is one frame. An empty payload is nil after decoding.
type Frame struct {
	Type    Type
	ID      ID
	Payload []byte
}

var (
	// ErrType is returned when a frame to encode has no known type.
	ErrType = errors.New("unknown type of frame")
	// ErrTooLong is returned when a payload is longer than the limit.
	ErrTooLong = errors.New("payload too long for a frame")
)

// Encode returns the whole frame, header and payload together. No function returns the header of a frame without the
// payload: a transfer that ends inside the header wedges the gadget's channel until the gadget is power-cycled, and
// whole frames are all that a transport ever gets.
func Encode(f Frame) ([]byte, error) {
	if f.Type < Request || f.Type > KeepAlive {
		return nil, fmt.Errorf("%w: %d", ErrType, byte(f.Type))
	}
	if len(f.Payload) > MaxDevicePayload {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLong, len(f.Payload), MaxDevicePayload)
	}
	b := make([]byte, HeaderLen+len(f.Payload))
	b[0], b[offType] = magic, byte(f.Type)
	copy(b[offID:], f.ID[:])
	binary.LittleEndian.PutUint32(b[offSize:], uint32(len(f.Payload))) //nolint:gosec // bounded above
	b[offParity] = parity(b)
	copy(b[HeaderLen:], f.Payload)
	return b, nil
}

// parity is the XOR of the header's first 22 bytes.
func parity(header []byte) byte {
	var p byte
	for _, c := range header[:offParity] {
		p ^= c
	}
	return p
}

// header is a decoded and checked header.
type header struct {
	typ  Type
	id   ID
	size int
}

// parseHeader reads the first HeaderLen bytes of b. ok is false when the bytes are not a header, or announce more
// than limit bytes.
func parseHeader(b []byte, limit int) (h header, ok bool) {
	if b[0] != magic || parity(b) != b[offParity] {
		return header{}, false
	}
	t := Type(b[offType])
	size := binary.LittleEndian.Uint32(b[offSize:])
	if t < Request || t > KeepAlive || uint64(size) > uint64(limit) { //nolint:gosec // a limit is never negative
		return header{}, false
	}
	return header{t, ID(b[offID:offSize]), int(size)}, true
}
