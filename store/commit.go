package store

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
	"highwater/store/pages"
)

// commitLoop is the only writer. Changes that arrive while a transaction syncs go into the next transaction.
func (db *DB) commitLoop() {
	defer close(db.committed)
	for {
		db.unsaid.sayAll()
		select {
		case <-db.unsaid.due:
		case <-db.wake:
			db.commit(false, false)
		case <-db.calmTimer.C:
			db.commit(false, false)
		case <-db.lateTimer.C:
			db.commit(true, false)
		case <-db.stop:
			db.commit(true, true)
			db.unsaid.sayAll()
			return
		}
	}
}

// record is a mark, as written to the disk.
type record struct{ key, value []byte }

// commit makes the next batch durable. A batch without waiters (late entries only) is written when alone is set. The
// last batch of a run that wrote anything is written in any case: the batch says that the run ended in order.
func (db *DB) commit(alone, last bool) {
	b, records := db.take(alone, last)
	if b == nil {
		return
	}
	start := time.Now()
	cause := db.update(b, records)
	if len(records) > 0 || !b.last || !b.empty() {
		db.obs(time.Since(start))
	}
	if cause == nil {
		db.settled(b)
	} else {
		b.err = db.poison(cause)
	}
	close(b.done)
}

// take closes the batch to newcomers and encodes its marks and horizons as of now, kept signatures included.
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
	room := make([]byte, 0, len(b.entries)*hwm.MarkRecordLen)
	for _, e := range b.entries {
		e.dirty = false
		at := len(room)
		room = e.mark.AppendRecord(room, e.dbKey)
		records = append(records, record{e.dbKey, room[at:len(room):len(room)]})
	}
	for _, h := range b.horizons {
		h.queued, h.taken = false, h.want
		b.levels = append(b.levels, h.want)
	}
	return b, records
}

// putOff keeps horizons out of a run's first transaction: the runtime file is made afterwards, and a kill in between
// would cost a horizon that nobody has used. The caller holds db.mu.
func (db *DB) putOff(b *batch) {
	if len(b.horizons) == 0 {
		return
	}
	db.next.horizons, b.horizons = b.horizons, nil
	db.kick()
}

// settled takes in that a batch is on disk. From now on the horizons count, and the runtime file is of this run.
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
	err := pages.Guard(func() error {
		return db.bolt.Update(func(tx *bolt.Tx) error {
			if !db.begun {
				if err := db.beginSession(tx); err != nil {
					return err
				}
			}
			marks := tx.Bucket(layout.BucketMarks)
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
			if err := errors.Join(b.putHorizons(tx), db.putSession(tx, b.last), layout.PutSeal(tx)); err != nil {
				return err
			}
			return db.rememberSeal(tx)
		})
	})
	if err != nil {
		db.jammed = errors.Is(err, hwm.ErrCorrupt)
		return err
	}
	return db.inPlace() // the next start looks in this place
}
