package store

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/disk"
	"highwater/store/layout"
	"highwater/store/pages"
)

// inPlace wants the open file under its own name, and whole: the next start does not find a file without a name. Only
// the committer calls inPlace.
func (db *DB) inPlace() error {
	db.mu.Lock()
	last := db.file
	db.mu.Unlock()
	now, err := last.StillAt(db.path)
	if err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.file = now
	return nil
}

// untouched wants, before a transaction is built upon the file, this process's last transaction in the file. A copy
// written over the file has the marks of its day. The seal names the transaction, and covers all that decides about
// signing.
func (db *DB) untouched() error {
	if err := db.inPlace(); err != nil {
		return err
	}
	err := pages.Guard(func() error {
		return db.bolt.View(func(tx *bolt.Tx) error {
			if !bytes.Equal(tx.Bucket(layout.BucketMeta).Get(layout.MetaSeal), db.seal) {
				return errors.New("the last transaction of this process is missing")
			}
			return nil
		})
	})
	if err != nil {
		db.jammed = errors.Is(err, hwm.ErrCorrupt)
		return fmt.Errorf("%w: %s: %w", disk.ErrReplaced, db.path, err)
	}
	return nil
}

// rememberSeal keeps the seal of a transaction for untouched.
func (db *DB) rememberSeal(tx *bolt.Tx) error {
	db.seal = bytes.Clone(tx.Bucket(layout.BucketMeta).Get(layout.MetaSeal))
	return nil
}
