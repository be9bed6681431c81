// Package registertest has a register in memory with faults by a test's choice, and the suite for every
// register.Backend.
package registertest

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"highwater/register"
)

// Fault is the fate of a write.
type Fault int

// The faults.
const (
	None   Fault = iota
	Answer       // applied, and the answer is lost
	Late         // the answer is lost, and the write may be applied at any later time
	Refuse       // never applied, and no answer
)

// ErrSilent is a lost answer, as seen by the caller.
var ErrSilent = errors.New("no answer")

// Register is a register.Backend in memory, safe for concurrent use.
type Register struct {
	mu      sync.Mutex
	entry   register.Entry
	cluster uint64
	rev     int64
	late    []write
	// Fault decides about each write; nil: no faults. Fault is called under the register's lock.
	Fault func() Fault
	// Silent makes every read fail too.
	Silent bool
}

type write struct {
	prev register.Entry
	next []byte
}

// New makes a register without a record.
func New() *Register { return &Register{cluster: 0xc1, rev: 1} }

// Read gives the record.
func (m *Register) Read(ctx context.Context) (register.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return register.Entry{}, err
	}
	if m.Silent {
		return register.Entry{}, ErrSilent
	}
	if m.entry.Value == nil {
		return register.Entry{}, register.ErrAbsent
	}
	return m.now(), nil
}

func (m *Register) now() register.Entry {
	e := m.entry
	e.Value = bytes.Clone(e.Value)
	e.Version = register.Version{Cluster: m.cluster, Revision: m.rev}
	return e
}

// Swap is a compare-and-set.
func (m *Register) Swap(ctx context.Context, prev register.Entry, next []byte) (register.Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return register.Entry{}, false, err
	}
	fault := None
	if m.Fault != nil {
		fault = m.Fault()
	}
	w := write{prev, bytes.Clone(next)}
	switch fault {
	case Refuse:
		return register.Entry{}, false, ErrSilent
	case Late:
		m.late = append(m.late, w)
		return register.Entry{}, false, ErrSilent
	case Answer:
		m.apply(w)
		return register.Entry{}, false, ErrSilent
	case None:
	}
	swapped := m.apply(w)
	return m.now(), swapped, nil
}

// Create writes the first record.
func (m *Register) Create(ctx context.Context, first []byte) (register.Entry, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return register.Entry{}, false, err
	}
	created := m.entry.Value == nil && m.apply(write{next: bytes.Clone(first)})
	return m.now(), created, nil
}

func (m *Register) apply(w write) bool {
	if !bytes.Equal(m.entry.Value, w.prev.Value) || m.entry.ModRev != w.prev.ModRev {
		return false
	}
	m.rev++
	m.entry = register.Entry{Value: w.next, ModRev: m.rev}
	return true
}

// ApplyLate applies the i-th abandoned write, or drops the write if its compare fails. Pending counts the abandoned
// writes.
func (m *Register) ApplyLate(i int) (applied bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w := m.late[i]
	m.late = append(m.late[:i:i], m.late[i+1:]...)
	return m.apply(w)
}

// Pending is how many writes may still be applied.
func (m *Register) Pending() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.late)
}

// Backup is the content of a restore.
type Backup struct {
	entry register.Entry
	rev   int64
}

// Backup takes a copy.
func (m *Register) Backup() Backup {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Backup{m.entry, m.rev}
}

// Restore puts a copy back, as an operator does after losing the members.
func (m *Register) Restore(b Backup) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entry, m.rev = b.entry, b.rev
}

// Delete takes the record away, as an operator's mistake does.
func (m *Register) Delete() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rev++
	m.entry = register.Entry{}
}
