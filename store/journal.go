package store

import (
	"encoding/binary"
	"encoding/json"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

// JournalEntry is an act of an operator, or a change of role.
type JournalEntry = hwm.JournalEntry

// maxJournal bounds the journal; the oldest entries go first.
const maxJournal = 1000

// Journal gives all entries, oldest first.
func (db *DB) Journal() []JournalEntry {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.journal)
}

// Forgotten counts the entries that had to go for newer ones.
func (db *DB) Forgotten() uint64 {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.forgotten
}

// Record adds an entry to the journal, durably.
func (db *DB) Record(e JournalEntry) error {
	e, err := journaled(e)
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) { return db.write(db.appendJournal(e)), nil })
}

// journaled makes an entry fit to be kept: an entry without JSON (a year beyond 9999) would poison the store.
func journaled(e JournalEntry) (JournalEntry, error) {
	e.Why, e.At = hwm.CutWhy(e.Why), e.At.UTC().Truncate(time.Millisecond)
	e.What, e.Result = hwm.CutWhy(e.What), hwm.CutWhy(e.Result)
	_, err := json.Marshal(e)
	return e, err
}

// appendJournal returns the write of an entry made by journaled. The caller holds db.mu.
func (db *DB) appendJournal(e JournalEntry) func(*bolt.Tx) error {
	if e.Who == "" {
		e.Who = db.by
	}
	db.journal = append(db.journal, e)
	if len(db.journal) > maxJournal {
		db.journal = db.journal[1:]
		db.forgotten++
	}
	return func(tx *bolt.Tx) error {
		bucket := tx.Bucket(layout.BucketJournal)
		seq, err := bucket.NextSequence()
		if err != nil {
			return err
		}
		if seq > maxJournal {
			if err = bucket.Delete(binary.BigEndian.AppendUint64(nil, seq-maxJournal)); err != nil {
				return err
			}
		}
		write, err := layout.PutJSON(layout.BucketJournal, binary.BigEndian.AppendUint64(nil, seq), e)
		if err != nil {
			return err
		}
		return write(tx)
	}
}

func (db *DB) loadJournal(tx *bolt.Tx) error {
	return layout.EachJSON(tx, layout.BucketJournal, func(k []byte, e JournalEntry) error {
		if len(k) == 8 && len(db.journal) == 0 { // entries are numbered from 1 on
			db.forgotten = binary.BigEndian.Uint64(k) - 1
		}
		db.journal = append(db.journal, e)
		return nil
	})
}
