package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"

	"highwater/internal/loghead"
	"highwater/internal/tezos"
)

// Hash is a SHA-256.
type Hash = loghead.Hash

// Bounds of a record.
const (
	maxBody   = 1024 // bytes, the type left out
	checkLen  = 8    // the first bytes of a record's link stand behind the record
	lengthLen = 2
)

// A record in a file: length of type and body (2 bytes, big endian), type, body, and the first 8 bytes of its link.
// link = SHA-256(link of the record before, type, body).

// appendRecord adds a record behind the record with the link before, and gives the record's own link.
func appendRecord(b []byte, before Hash, kind byte, body []byte) ([]byte, Hash) {
	b = binary.BigEndian.AppendUint16(b, uint16(1+len(body))) //nolint:gosec // at most maxBody
	b = append(append(b, kind), body...)
	sum := sha256.New()
	sum.Write(before[:])
	sum.Write(b[len(b)-1-len(body):])
	link := Hash(sum.Sum(nil))
	return append(b, link[:checkLen]...), link
}

var (
	errUnfinished = errors.New("the file ends within a record")
	errTorn       = errors.New("the file ends within a record, or in zeros")
	errLength     = errors.New("the length of no record")
	errLink       = errors.New("the record does not fit to the records before: a record was changed, taken out, put in or moved")
)

// scanner reads the records of a file in their order.
type scanner struct {
	r    *bufio.Reader
	link Hash  // of the last record
	at   int64 // behind the last record
	buf  [sha256.Size + 1 + maxBody]byte
}

func newScanner(r io.Reader) *scanner { return &scanner{r: bufio.NewReaderSize(r, 1<<18)} }

// next gives the next record, valid until the next call. At the end of the file: io.EOF. An error of the content leaves
// the scanner behind the last good record.
func (s *scanner) next() (kind byte, body []byte, err error) {
	head, err := s.r.Peek(lengthLen)
	if len(head) == 0 && errors.Is(err, io.EOF) {
		return 0, nil, io.EOF
	}
	if err != nil {
		return 0, nil, unfinished(err)
	}
	n := int(binary.BigEndian.Uint16(head))
	if n < 1 || n > 1+maxBody {
		return 0, nil, errLength
	}
	all, err := s.r.Peek(lengthLen + n + checkLen)
	if err != nil {
		return 0, nil, unfinished(err)
	}
	record, check := all[lengthLen:lengthLen+n], all[lengthLen+n:]
	if record[0] == typeHeader && s.at == 0 { // the header tells the link before by itself
		h, bad := readHeader(record[1:])
		if bad != nil {
			return 0, nil, bad
		}
		s.link = h.Before
	}
	copy(s.buf[:], s.link[:])
	copy(s.buf[sha256.Size:], record)
	link := sha256.Sum256(s.buf[:sha256.Size+n])
	if !bytes.Equal(link[:checkLen], check) {
		return 0, nil, errLink
	}
	s.link = link
	s.at += int64(len(all))
	_, err = s.r.Discard(len(all))
	return s.buf[sha256.Size], s.buf[sha256.Size+1 : sha256.Size+n], err
}

// atTheEnd judges an error of next in the last file of a log: errTorn, where the bytes behind the last good record are
// what a power cut leaves, the beginning of one record and zeros up to the end of the file. The rest of the file is read.
func (s *scanner) atTheEnd(err error) error {
	switch {
	case err == nil, errors.Is(err, io.EOF), isDisk(err):
		return err
	case errors.Is(err, errUnfinished):
		return errTorn
	}
	all, written := 0, 0 // bytes, and bytes up to the last one that is not zero
	for {
		b, end := s.r.ReadByte()
		if isDisk(end) {
			return end
		}
		if end != nil {
			break
		}
		if all++; b != 0 {
			written = all
		}
	}
	if written < lengthLen+1+maxBody && all-written >= checkLen {
		return errTorn
	}
	return err
}

func unfinished(err error) error {
	if errors.Is(err, io.EOF) {
		return errUnfinished
	}
	return err
}

// shortHash is the first half of the SHA-256 of a signature's raw bytes; zero without a signature.
func shortHash(sig tezos.Signature) (out [16]byte) {
	if sig.IsZero() {
		return out
	}
	var raw [tezos.BLSSignatureLen]byte
	sum := sha256.Sum256(raw[:sig.Copy(raw[:])])
	copy(out[:], sum[:])
	return out
}

func hexUnlessZero(b []byte) string {
	for _, c := range b {
		if c != 0 {
			return hex.EncodeToString(b)
		}
	}
	return ""
}
