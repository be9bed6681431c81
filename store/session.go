package store

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store/bootmarks"
	"highwater/store/layout"
)

// drawSession draws the number of this run. A record in memory with any other number is of another run.
func (db *DB) drawSession() error {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return err
	}
	db.session = layout.Session{Session: bootmarks.Session{ID: binary.BigEndian.Uint64(b[:]) | 1, Boot: bootmarks.Boot()}}
	return nil
}

// beginSession begins a run's first transaction: from now on the file is of this version; the horizons of the run
// before are marks by now, and the same transaction holds the marks.
func (db *DB) beginSession(tx *bolt.Tx) error {
	if err := layout.EmptyBucket(tx, layout.BucketHorizons); err != nil {
		return err
	}
	return tx.Bucket(layout.BucketMeta).Put(layout.MetaSchema, hwm.Seal(layout.MetaSchema, []byte(layout.Schema)))
}

// putSession names the run that wrote a transaction, where the run is new.
func (db *DB) putSession(tx *bolt.Tx, last bool) error {
	if db.begun && !last {
		return nil
	}
	now := db.session
	now.Clean = last
	return tx.Bucket(layout.BucketMeta).Put(layout.MetaSession, now.Encode())
}

// How a run ended.
const (
	EndedNew    = "new"    // no run before, or a run of a version that knew no levels ahead
	EndedClean  = "clean"  // in order
	EndedKilled = "killed" // the process ended; its last signatures are known exactly
	EndedCut    = "cut"    // the machine lost its power, or the last signatures are not known: the horizons are the floors
)

// Ending is the end of the run before this run, and its cost.
type Ending struct {
	How string `json:"how"` // a constant of the list above
	// Why the marks in memory of that run were not found; empty where no such marks were needed.
	Why string `json:"why,omitempty"`
	// Floors are the keys that sign nothing at or below a horizon, with the horizon.
	Floors map[hwm.CeilingKey]int32 `json:"-"`
}

// Ended is the end of the run before.
func (db *DB) Ended() Ending { return db.ended }

// loadHorizons finds out how the run before ended, and makes floors of its horizons: in memory now, and on disk with
// the first transaction of this run. Until then the horizons on disk forbid the same.
//
// Invariant: for a key whose horizon is above a mark, either every mark is known exactly, by a record that this boot
// and that very run wrote, or each is a floor at the horizon. A kind without a mark stays without: the kind does not
// sign, and nothing of the kind was ever signed.
func (db *DB) loadHorizons(tx *bolt.Tx) error {
	record := tx.Bucket(layout.BucketMeta).Get(layout.MetaSession)
	bucket := tx.Bucket(layout.BucketHorizons)
	switch {
	case db.schemaBefore:
		db.ended = Ending{How: EndedNew}
		return nil
	case bucket == nil:
		return fmt.Errorf("%w: the horizons are missing", hwm.ErrCorrupt)
	}
	last, err := layout.DecodeSession(record)
	if err != nil {
		return err
	}
	if last.ID == 0 { // as created
		db.ended = Ending{How: EndedNew}
		return nil
	}
	db.ended = Ending{How: EndedClean, Floors: map[hwm.CeilingKey]int32{}}
	if !last.Clean {
		db.ended.How = EndedKilled
		if last.Boot != db.session.Boot {
			db.ended.How = EndedCut
		}
	}
	remembered := db.recall(last)
	err = bucket.ForEach(func(k, v []byte) error {
		var key hwm.CeilingKey
		if keyErr := key.UnmarshalBinary(k); keyErr != nil {
			return fmt.Errorf("horizon %x: %w", k, keyErr)
		}
		level, levelErr := layout.DecodeHorizon(k, v)
		if levelErr != nil {
			return fmt.Errorf("horizon of %s: %w", key.PKH, levelErr)
		}
		db.settleKey(key, level, remembered)
		return nil
	})
	if len(db.ended.Floors) == 0 {
		db.ended.Why = "" // nothing was lost
	}
	return err
}

// settleKey gives a key's marks their place after a run that left a horizon.
func (db *DB) settleKey(key hwm.CeilingKey, level int32, remembered map[hwm.Key]hwm.Mark) {
	floor := hwm.Floor(level, time.Now().UTC().Truncate(time.Millisecond), hwm.SourceHorizon)
	var open []*entry // marks that the run may have moved
	exact := true
	for _, kind := range tezos.Kinds {
		e, ok := db.marks[hwm.Key{Chain: key.Chain, PKH: key.PKH, Kind: kind}]
		if !ok || !floor.Above(e.mark) {
			continue
		}
		open = append(open, e)
		mark, known := remembered[e.key]
		exact = exact && known && follows(mark, e.mark)
	}
	if len(open) == 0 {
		return
	}
	for _, e := range open {
		if exact {
			e.mark = remembered[e.key]
		} else {
			e.mark = floor
		}
		db.floored = append(db.floored, e)
	}
	if !exact {
		db.ended.How, db.ended.Floors[key] = EndedCut, level
	}
}

// follows tells whether a mark from memory can follow the mark on the disk: above, or the same.
func follows(memory, disk hwm.Mark) bool {
	return memory.Above(disk) || memory.Position == disk.Position && memory.Digest == disk.Digest
}

// recall gives the marks in memory of the run before, as far as they can be believed.
func (db *DB) recall(last layout.Session) map[hwm.Key]hwm.Mark {
	marks, err := bootmarks.Read(db.runtimePath(), last.Session)
	if err != nil && !last.Clean {
		db.ended.Why = err.Error()
	}
	return marks
}
