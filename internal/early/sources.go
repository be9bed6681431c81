package early

import (
	"time"

	"highwater/internal/certs"
	"highwater/internal/device"
)

// Sources give the numbers of now. No source waits. A nil source turns its warnings off.
type Sources struct {
	Devices      func() []Device
	Holders      func(kind string) []string // programs that have such a device open, in words; asked while one is away
	Head         func() Head
	Marks        func() []Mark
	Certificates func() []certs.Row
	Follow       func() Follow
	Silent       func() time.Duration // how long the register has not answered
	Audit        func() string        // why the audit log is not written; empty: the log is written
	// Settled gives the rights at the final levels from.., and the level after them.
	Settled func(from int32) (rights []Settled, next int32)
	Unheld  func() []Unheld
}

// Device is a device with its health.
type Device struct {
	Name   string
	Health device.Health
	Since  time.Time // of the health
	USB    string    // its kind on USB: ledger, tezsign; empty: not on USB
}

// Head is the newest block of the node; zero: none was heard of.
type Head struct {
	Level int32
	At    time.Time
}

// Mark is the highest mark of a key.
type Mark struct {
	Key   string
	Level int32
}

// Follow tells how this instance follows the marks of its peer.
type Follow struct {
	Wanted    bool // this instance stands by, and the peer signs
	Connected bool
	Behind    int64 // levels
}
