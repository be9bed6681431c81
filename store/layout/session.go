package layout

import (
	"encoding/binary"
	"fmt"

	"highwater/hwm"
	"highwater/store/bootmarks"
)

// Session is the record of the run that wrote last: session 8 · boot 16 · clean 1. The first transaction of a run
// draws a new session, the last transaction calls it clean.
type Session struct {
	bootmarks.Session      // ID zero: of the creation
	Clean             bool // every mark is exact, and no horizon is left
}

const sessionLen = 8 + 16 + 1

// Encode makes the record.
func (r Session) Encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, r.ID)
	b = append(b, r.Boot[:]...)
	clean := byte(0)
	if r.Clean {
		clean = 1
	}
	return hwm.Seal(MetaSession, append(b, clean))
}

// DecodeSession reads the record.
func DecodeSession(record []byte) (Session, error) {
	b, err := hwm.Unseal(MetaSession, record)
	if err != nil {
		return Session{}, fmt.Errorf("session: %w", err)
	}
	if len(b) != sessionLen || b[sessionLen-1] > 1 {
		return Session{}, fmt.Errorf("session: %w: impossible fields", hwm.ErrCorrupt)
	}
	return Session{bootmarks.Session{ID: binary.BigEndian.Uint64(b), Boot: [16]byte(b[8:24])}, b[24] == 1}, nil
}
