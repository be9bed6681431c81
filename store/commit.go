package store

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// lateDelay is how long a kept signature waits for company before it gets a transaction of its own. A baker asks a few times a
// second at the most, so a flush rarely stands in the way of a request.
const lateDelay = 20 * time.Millisecond

// batch is what one transaction makes durable, and what its waiters wait for.
type batch struct {
	entries []*entry
	writes  []func(*bolt.Tx) error
	done    chan struct{}
	err     error // valid once done is closed
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (b *batch) empty() bool { return len(b.entries)+len(b.writes) == 0 }

// Wait returns when the batch is durable (fdatasync returned), or failed: then the store is poisoned, and the error says so.
func (b *batch) Wait() error {
	<-b.done
	return b.err
}

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

// latest is the batch after which all that is in memory now is durable. The caller holds db.mu.
func (db *DB) latest() *batch {
	if db.next.empty() {
		return db.taken
	}
	return db.next
}

// durably makes a change in memory, under the lock and only while the store can be used, and waits for the batch that the change
// went into. A change that fails has changed nothing.
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

// commitLoop is the one writer. Everything that arrives while a transaction syncs goes into the next one.
func (db *DB) commitLoop() {
	defer close(db.committed)
	for {
		select {
		case <-db.wake:
			db.commit(false)
		case <-db.lateTimer.C:
			db.commit(true)
		case <-db.stop:
			db.commit(true)
			return
		}
	}
}

// record is a mark as it goes to disk.
type record struct{ key, value []byte }

// commit makes the next batch durable. A batch without waiters (late signatures only) is written when alone is set.
func (db *DB) commit(alone bool) {
	b, records := db.take(alone)
	if b == nil {
		return
	}
	start := time.Now()
	err := db.update(b, records)
	db.obs(time.Since(start))
	if err != nil {
		err = db.poison(err)
	}
	b.err = err
	close(b.done)
}

// take closes the batch to newcomers and encodes its marks as they are in memory now, kept signatures included.
func (db *DB) take(alone bool) (*batch, []record) {
	db.mu.Lock()
	defer db.mu.Unlock()
	b := db.next
	if b.empty() && (!alone || len(db.late) == 0) {
		return nil, nil
	}
	db.next, db.taken = newBatch(), b
	for _, e := range db.late {
		e.late = false
		if !e.dirty {
			b.entries = append(b.entries, e)
		}
	}
	db.late = db.late[:0]
	records := make([]record, 0, len(b.entries))
	for _, e := range b.entries {
		e.dirty = false
		records = append(records, record{e.dbKey, e.mark.Encode(e.dbKey)})
	}
	return b, records
}

func (db *DB) update(b *batch, records []record) error {
	db.mu.Lock()
	poisoned := db.poisoned
	db.mu.Unlock()
	if poisoned != nil {
		return poisoned
	}
	if err := db.untouched(); err != nil {
		return err
	}
	err := guard(func() error {
		return db.bolt.Update(func(tx *bolt.Tx) error {
			marks := tx.Bucket(bucketMarks)
			for _, r := range records {
				if err := marks.Put(r.key, r.value); err != nil {
					return err
				}
			}
			for _, write := range b.writes {
				if err := write(tx); err != nil {
					return err
				}
			}
			if err := putSeal(tx); err != nil {
				return err
			}
			return db.rememberSeal(tx)
		})
	})
	if err != nil {
		db.jammed = errors.Is(err, hwm.ErrCorrupt)
		return err
	}
	return db.inPlace() // where the next start looks for it
}

// poison ends all signing of this process: after a failed commit nobody knows what is on disk.
func (db *DB) poison(cause error) error {
	db.mu.Lock()
	first := db.poisoned == nil
	if first {
		db.poisoned = &DiskError{fmt.Errorf("%w: %w", ErrPoisoned, cause)}
		close(db.failed)
	}
	poisoned := db.poisoned
	db.mu.Unlock()
	if first {
		db.log.Error("commit failed", "error", cause)
	}
	return poisoned
}
