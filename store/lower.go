package store

import (
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

var errNoReason = errors.New("a mark is lowered with a reason only: highwater keeps the reason for good")

// Lower replaces a mark by a lower mark. Nothing else lowers. Lower is for an operator at a stopped instance; the
// same transaction writes the reason down.
func (db *DB) Lower(key hwm.Key, mark hwm.Mark, why string) error {
	if hwm.CutWhy(why) == "" {
		return errNoReason
	}
	mark.Source = hwm.SourceLowered
	if err := readable(newEntry(key, mark).dbKey, mark); err != nil {
		return err
	}
	entry, err := journaled(JournalEntry{At: mark.At, Action: "lower", Why: why})
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		e, ok := db.marks[key]
		if !ok {
			return nil, fmt.Errorf("%w: %s", hwm.ErrNoMark, key)
		}
		if !e.mark.Above(mark) {
			return nil, fmt.Errorf("%s is at %s: %s is not lower", key, e.mark.Position, mark.Position)
		}
		entry.What = fmt.Sprintf("%s: from %s to %s", key, e.mark.Position, mark.Position)
		e.mark, e.fresh = mark, false
		db.remember(e)
		db.dropHorizon(hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}) // or the horizon would be a floor after this run
		db.put(e)
		return db.write(db.appendJournal(entry)), nil
	})
}

// Lift removes a ceiling, with a reason that is kept for good.
func (db *DB) Lift(key hwm.CeilingKey, at time.Time, why string) error {
	if hwm.CutWhy(why) == "" {
		return errNoReason
	}
	entry, err := journaled(JournalEntry{At: at, Action: "lift", Why: why})
	if err != nil {
		return err
	}
	dbKey, err := key.MarshalBinary()
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		have, ok := db.ceilings[key]
		if !ok {
			return nil, fmt.Errorf("%s has no ceiling on %s", key.PKH, key.Chain)
		}
		delete(db.ceilings, key)
		db.write(func(tx *bolt.Tx) error { return tx.Bucket(layout.BucketCeilings).Delete(dbKey) })
		entry.What = fmt.Sprintf("ceiling %d of %s", have.Level, key.PKH)
		return db.write(db.appendJournal(entry)), nil
	})
}
