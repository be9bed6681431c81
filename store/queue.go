package store

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// put adds an entry to the next transaction. The caller holds db.mu.
func (db *DB) put(e *entry) *batch {
	if !e.dirty {
		e.dirty = true
		db.next.entries = append(db.next.entries, e)
	}
	return db.kick()
}

// write adds a write of its own to the next transaction. The caller holds db.mu.
func (db *DB) write(f func(*bolt.Tx) error) *batch {
	db.next.writes = append(db.next.writes, f)
	return db.kick()
}

// latest is the batch after which everything now in memory is durable. The caller holds db.mu.
func (db *DB) latest() *batch {
	if db.ahead > 0 && len(db.late) > 0 { // marks may be among the late entries, not only signatures
		db.next.awaited = true
		return db.kick()
	}
	if db.next.empty() {
		return db.taken
	}
	return db.kick() // it may hold unhurried horizons only
}

// lateDelay is how long a kept signature waits for company before a transaction of its own. A baker asks a few times
// a second at the most, so a flush rarely stands in the way of a request.
const lateDelay = 20 * time.Millisecond

// coveredDelay is the delay where a horizon covers the marks, too, and the marks go along with the next level's
// transaction. The delay is longer than a level: only a baker that has stopped asking lets it pass.
const coveredDelay = 10 * time.Second

// later has an entry go along with the next transaction, or after a while with a transaction of its own: nobody
// waits. The caller holds db.mu.
func (db *DB) later(e *entry) {
	if e.late {
		return
	}
	e.late = true
	db.late = append(db.late, e)
	if len(db.late) > 1 {
		return
	}
	delay := lateDelay
	if db.ahead > 0 {
		delay = coveredDelay
	}
	db.lateTimer.Reset(delay) // the committer sleeps on: nothing is due yet
}

// durably makes a change in memory, under the lock and only while the store is usable, and waits for the change's
// batch. A failed change has changed nothing.
func (db *DB) durably(change func() (*batch, error)) error {
	b, err := func() (*batch, error) {
		db.mu.Lock()
		defer db.mu.Unlock()
		if err := db.usable(); err != nil {
			return nil, err
		}
		return change()
	}()
	if err != nil {
		return err
	}
	return b.Wait()
}

func (db *DB) kick() *batch {
	select {
	case db.wake <- struct{}{}:
	default:
	}
	return db.next
}
