package register

import (
	"context"
	"errors"
)

var (
	// ErrAbsent is returned when the register holds no record. Only `highwater register init` makes the first record:
	// absent is a refusal, never a fresh start.
	ErrAbsent = errors.New("the register holds no record")
	// ErrUnreadable is returned for an unreadable record.
	ErrUnreadable = errors.New("the record in the register cannot be read")
	// ErrOlder is returned when the register is older than the memory of this instance: the register was restored, or
	// another cluster answers.
	ErrOlder = errors.New("the register is older than this instance's memory of the register")
	// ErrLost is returned when another instance, or another process of this instance, owns the record.
	ErrLost = errors.New("the right to sign is elsewhere")
	// ErrRefused is returned when the register answers, and refuses: by its permissions, or since the register is full.
	ErrRefused = errors.New("the register refuses")
	// ErrUnsettled is returned when an answer did not come: the request may be applied at any later time.
	ErrUnsettled = errors.New("the register did not answer: the request may still be applied")
)

// Version is the progress of a register: the cluster, and the revision of the newest answer.
type Version struct {
	Cluster  uint64 `json:"cluster"`
	Revision int64  `json:"revision"`
}

// Entry is the register's content under the record's key.
type Entry struct {
	Value   []byte
	ModRev  int64 // the revision of the write of Value
	Version Version
}

// Backend is a linearizable compare-and-set register. Implementations are safe for concurrent use, and pass the suite
// of registertest.
//
// Absence: a register without a record answers ErrAbsent, never an empty Entry. Time: each method ends with ctx.
type Backend interface {
	// Read is linearizable: the answer holds every write that succeeded before the call.
	Read(ctx context.Context) (Entry, error)
	// Swap writes next if the register holds exactly prev, by bytes and by revision, and returns the new entry with
	// swapped true. False: the register held the returned entry instead, and the call has not written next, and never
	// will. An error tells nothing: the request may have been applied, and may be applied at any later time.
	Swap(ctx context.Context, prev Entry, next []byte) (now Entry, swapped bool, err error)
	// Create writes the first record into an empty register. The results are the results of Swap.
	Create(ctx context.Context, first []byte) (now Entry, created bool, err error)
}
