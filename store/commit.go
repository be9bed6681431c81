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

// coveredDelay is the same where a horizon covers the marks, too: they go along with the next level's transaction. It is longer than a level
// takes, and only a baker that has stopped asking lets it pass.
const coveredDelay = 10 * time.Second

// batch is what one transaction makes durable, and what its waiters wait for.
type batch struct {
	entries  []*entry
	horizons []*horizon
	levels   []int32 // of the horizons, as they go to disk
	wipe     bool    // all horizons that are on disk go first
	writes   []func(*bolt.Tx) error
	awaited  bool // somebody waits for late marks
	last     bool // of the run: the marks are exact, and no horizon is left
	done     chan struct{}
	err      error // valid once done is closed
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (b *batch) empty() bool {
	return len(b.entries)+len(b.horizons)+len(b.writes) == 0 && !b.wipe && !b.awaited
}

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
	if db.ahead > 0 && len(db.late) > 0 { // there may be marks among them, not only signatures
		db.next.awaited = true
		return db.kick()
	}
	if db.next.empty() {
		return db.taken
	}
	return db.next
}

// later has an entry go along with the next transaction, or with one of its own after a while: nobody waits for it. The caller holds db.mu.
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
	db.lateTimer.Reset(delay) // without waking the committer: there is nothing to do yet
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
			db.commit(false, false)
		case <-db.lateTimer.C:
			db.commit(true, false)
		case <-db.stop:
			db.commit(true, true)
			return
		}
	}
}

// record is a mark as it goes to disk.
type record struct{ key, value []byte }

// commit makes the next batch durable. A batch without waiters (late entries only) is written when alone is set. The last one of a run that wrote
// anything is written in any case: it says that the run ended in order.
func (db *DB) commit(alone, last bool) {
	b, records := db.take(alone, last)
	if b == nil {
		return
	}
	start := time.Now()
	err := db.update(b, records)
	if len(records) > 0 || !b.last || !b.empty() {
		db.obs(time.Since(start))
	}
	if err != nil {
		err = db.poison(err)
	} else {
		db.settled(b)
	}
	b.err = err
	close(b.done)
}

// take closes the batch to newcomers and encodes its marks and horizons as they are in memory now, kept signatures included.
func (db *DB) take(alone, last bool) (*batch, []record) {
	db.mu.Lock()
	defer db.mu.Unlock()
	b := db.next
	if b.empty() && (!alone || len(db.late) == 0) && (!last || !db.begun) {
		return nil, nil
	}
	db.next, db.taken, b.last = newBatch(), b, last
	late := db.late
	if !db.begun {
		late = append(late, db.floored...)
		db.putOff(b)
	}
	for _, e := range late {
		e.late = false
		if !e.dirty {
			e.dirty = true
			b.entries = append(b.entries, e)
		}
	}
	db.late = db.late[:0]
	records := make([]record, 0, len(b.entries))
	for _, e := range b.entries {
		e.dirty = false
		records = append(records, record{e.dbKey, e.mark.Encode(e.dbKey)})
	}
	for _, h := range b.horizons {
		h.queued, h.taken = false, h.want
		b.levels = append(b.levels, h.want)
	}
	return b, records
}

// putOff keeps horizons out of a run's first transaction: the runtime file is made after it, and a kill in between would cost a horizon that nobody
// has used. The caller holds db.mu.
func (db *DB) putOff(b *batch) {
	if len(b.horizons) == 0 {
		return
	}
	db.next.horizons, b.horizons = b.horizons, nil
	db.kick()
}

// settled takes in that a batch is on disk. Only now does a horizon count, and what the runtime file holds is of this run.
func (db *DB) settled(b *batch) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for _, e := range b.entries {
		e.stored = true
	}
	if !db.begun {
		db.begun, db.floored = true, nil
		if !b.last {
			db.beginRuntime()
		}
	}
	for i, h := range b.horizons {
		h.durable = max(h.durable, b.levels[i])
	}
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
			if !db.begun {
				if err := db.beginSession(tx); err != nil {
					return err
				}
			}
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
			if err := errors.Join(b.putHorizons(tx), db.putSession(tx, b.last), putSeal(tx)); err != nil {
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
