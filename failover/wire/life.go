package wire

import (
	"crypto/rand"
	"encoding/hex"
	"sync/atomic"
	"time"
)

const lifeSize = 8 // bytes of a life's name

// NewLife draws the name of a process: sixteen lower-case hex digits.
func NewLife() string {
	b := make([]byte, lifeSize)
	_, _ = rand.Read(b) // crypto/rand never fails
	return hex.EncodeToString(b)
}

func soundLife(name string) bool {
	b, err := hex.DecodeString(name)
	return err == nil && len(b) == lifeSize && hex.EncodeToString(b) == name
}

// Instant is the moment of a fresh nonce or handshake in this process.
type Instant struct {
	Count uint64
	At    time.Time // for waits only: no order is derived from a clock
}

// Counter orders the events in this process. The zero value is ready, and safe for concurrent use.
type Counter struct{ n atomic.Uint64 }

// Next gives a count above all earlier counts.
func (c *Counter) Next() uint64 { return c.n.Add(1) }

// Instant is the present moment.
func (c *Counter) Instant() Instant { return Instant{c.Next(), time.Now()} }
