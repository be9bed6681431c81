package frame

import "bytes"

// Decoder takes a stream of bytes, in pieces of any size, and returns the frames of the stream. Bytes outside of
// frames are skipped: Decoder looks for the next byte 0x56 at the beginning of a header with the right parity, a
// known type and a size within the limit.
//
// Decoder holds at most one frame of the limit's size beside the piece written last. The zero value is not usable.
type Decoder struct {
	limit   int
	buf     []byte
	skipped int
}

// NewDecoder makes a decoder for payloads of at most limit bytes.
func NewDecoder(limit int) *Decoder { return &Decoder{limit: limit} }

// Write appends a piece of the stream. After each Write, call Next until Next returns false.
func (d *Decoder) Write(piece []byte) { d.buf = append(d.buf, piece...) }

// Next returns the next whole frame, or false when more bytes are needed. The payload is the caller's to keep.
func (d *Decoder) Next() (Frame, bool) {
	for {
		d.resync()
		if len(d.buf) < HeaderLen {
			return Frame{}, false
		}
		h, ok := parseHeader(d.buf, d.limit)
		if !ok {
			d.skip(1)
			continue
		}
		if len(d.buf) < HeaderLen+h.size {
			return Frame{}, false
		}
		f := Frame{Type: h.typ, ID: h.id}
		if h.size > 0 {
			f.Payload = bytes.Clone(d.buf[HeaderLen : HeaderLen+h.size])
		}
		d.consume(HeaderLen + h.size)
		return f, true
	}
}

// Skipped counts the bytes outside of frames.
func (d *Decoder) Skipped() int { return d.skipped }

// Pending counts the bytes of an incomplete frame.
func (d *Decoder) Pending() int { return len(d.buf) }

// resync drops the bytes before the next possible header.
func (d *Decoder) resync() {
	at := bytes.IndexByte(d.buf, magic)
	if at < 0 {
		at = len(d.buf)
	}
	d.skip(at)
}

func (d *Decoder) skip(n int) {
	d.skipped += n
	d.consume(n)
}

func (d *Decoder) consume(n int) {
	d.buf = d.buf[n:]
	if len(d.buf) == 0 {
		d.buf = nil // lets go of the array behind the payloads
	}
}
