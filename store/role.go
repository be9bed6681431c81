package store

import (
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

// Role is the durable role.
func (db *DB) Role() hwm.RoleRecord {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.role
}

// SetRole changes the role, raises floors, and sets or lifts ceilings, in one transaction, which also holds all exact
// marks and takes the horizons back to the marks. The role in memory changes when durable; floors and ceilings bind
// at once. Errors wrap hwm.ErrEpoch, or hwm.ErrMoved for a ceiling that would rise or lie below a mark, and nothing
// is changed.
func (db *DB) SetRole(next hwm.RoleRecord, floors []hwm.Row, ceilings ...hwm.CeilingChange) error {
	db.roleMu.Lock()
	defer db.roleMu.Unlock()
	next.Why, next.Since = hwm.CutWhy(next.Why), next.Since.UTC().Truncate(time.Millisecond)
	if err := hwm.CheckSuccession(db.Role(), next); err != nil {
		return err
	}
	what := fmt.Sprintf("epoch %d, %d floors", next.Epoch, len(floors))
	if len(ceilings) > 0 {
		what += fmt.Sprintf(", %d ceilings", len(ceilings))
	}
	entry, err := journaled(JournalEntry{At: next.Since, Action: next.Role.String(), What: what, Why: next.Why})
	if err != nil {
		return err
	}
	db.mu.Lock()
	if err := db.checkCeilings(ceilings); err != nil {
		db.mu.Unlock()
		return err
	}
	if _, err := db.raise(floors); err != nil {
		db.mu.Unlock()
		return err
	}
	for _, c := range ceilings {
		db.changeCeiling(c)
	}
	db.takeBack()
	db.write(func(tx *bolt.Tx) error {
		return tx.Bucket(layout.BucketMeta).Put(layout.MetaRole, next.Encode(layout.MetaRole))
	})
	b := db.write(db.appendJournal(entry))
	db.mu.Unlock()
	if err := b.Wait(); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.role = next
	return nil
}
