package store

import (
	"bytes"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

// cover gives the wait of a request that has just moved the mark of e. The wait is nothing when a horizon on disk
// forbids the repetition, and a start after a kill finds the exact mark; else a transaction. The caller holds db.mu.
//
// Invariant: a covered mark is at or below a horizon that a commit made durable, and the disk has the mark at some
// level.
func (db *DB) cover(e *entry, recorded bool) hwm.Pending {
	if db.ahead == 0 {
		return db.put(e)
	}
	h := db.move(hwm.CeilingKey{Chain: e.key.Chain, PKH: e.key.PKH}, e.mark.Level)
	switch {
	case !recorded || !e.stored:
		return db.put(e)
	case e.mark.Level <= h.durable:
		db.later(e)
		return covered{db}
	case e.mark.Level <= h.taken:
		db.later(e)
		return db.taken
	}
	return db.put(e)
}

// move moves a key's horizon ahead of a level, in the next transaction, and never above a ceiling. The caller holds
// db.mu.
func (db *DB) move(key hwm.CeilingKey, level int32) *horizon {
	h, ok := db.horizons[key]
	if !ok {
		dbKey, err := key.MarshalBinary()
		if err != nil {
			panic(err) // cannot fail
		}
		h = &horizon{dbKey: dbKey, want: -1, taken: -1, durable: -1}
		db.horizons[key] = h
	}
	want := level + min(db.ahead, math.MaxInt32-level)
	if c, capped := db.ceilings[key]; capped {
		want = min(want, max(c.Level, level))
	}
	if want <= h.want {
		return h
	}
	h.want = want
	if !h.queued {
		h.queued = true
		db.next.horizons = append(db.next.horizons, h)
	}
	if level < h.taken {
		db.unhurried()
	} else {
		db.kick() // the next level is not covered
	}
	return h
}

// unhurriedDelay is how long a horizon waits for company where the next level is covered already: requests that follow
// each other faster than the disk share a transaction, and at a baker's pace the delay is nothing beside a level.
const unhurriedDelay = 10 * time.Millisecond

// unhurried has the next transaction begin after a while, or with the next kick. The first horizon in the transaction
// sets the time. The caller holds db.mu.
func (db *DB) unhurried() {
	if len(db.next.horizons) == 1 {
		db.calmTimer.Reset(unhurriedDelay)
	}
}

// takeBack takes all horizons back to their marks, in the next transaction, which carries every exact mark. Nothing is
// covered from now on before a later transaction has moved a horizon anew. The caller holds db.mu.
func (db *DB) takeBack() {
	clear(db.horizons)
	db.next.wipe, db.next.horizons = true, nil
}

// dropHorizon forgets the horizon of a key, in the next transaction. The caller holds db.mu.
func (db *DB) dropHorizon(key hwm.CeilingKey) {
	dbKey, err := key.MarshalBinary()
	if err != nil {
		panic(err) // cannot fail
	}
	delete(db.horizons, key)
	live := db.next.horizons[:0]
	for _, h := range db.next.horizons {
		if !bytes.Equal(h.dbKey, dbKey) {
			live = append(live, h)
		}
	}
	db.next.horizons = live
	db.write(func(tx *bolt.Tx) error { return tx.Bucket(layout.BucketHorizons).Delete(dbKey) })
}

// covered is the wait of a request whose repetition a durable horizon forbids: nothing. Wait fails when the store has
// failed meanwhile, or when its file is gone: no start would find the horizon.
type covered struct{ db *DB }

// Wait does not wait.
func (c covered) Wait() error {
	c.db.mu.Lock()
	poisoned, last := c.db.poisoned, c.db.file
	c.db.mu.Unlock()
	if poisoned != nil {
		return poisoned
	}
	if _, err := last.StillAt(c.db.path); err != nil {
		return c.db.poison(err)
	}
	return nil
}

// Horizons are the horizons on disk now, by key: up to a horizon signatures wait for no disk. Empty without levels
// ahead.
func (db *DB) Horizons() map[hwm.CeilingKey]int32 {
	db.mu.Lock()
	defer db.mu.Unlock()
	out := map[hwm.CeilingKey]int32{}
	for key, h := range db.horizons {
		if h.durable >= 0 {
			out[key] = h.durable
		}
	}
	return out
}

// putHorizons writes the horizons of a batch. beginSession made the bucket.
func (b *batch) putHorizons(tx *bolt.Tx) error {
	if b.wipe || b.last {
		if err := layout.EmptyBucket(tx, layout.BucketHorizons); err != nil {
			return err
		}
	}
	if b.last {
		return nil
	}
	bucket := tx.Bucket(layout.BucketHorizons)
	for i, h := range b.horizons {
		if err := bucket.Put(h.dbKey, layout.EncodeHorizon(h.dbKey, b.levels[i])); err != nil {
			return err
		}
	}
	return nil
}
