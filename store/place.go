package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// ErrReplaced is returned, with ErrPoisoned, when the database is no longer the file that this process wrote.
var ErrReplaced = errors.New("the watermark file was overwritten, replaced or removed in use")

// inPlace wants the open file under its own name, and whole: the next start does not find a file without a name. Only
// the committer calls inPlace.
func (db *DB) inPlace() error {
	db.mu.Lock()
	last := db.file
	db.mu.Unlock()
	now, err := db.stillThere(last)
	if err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.file = now
	return nil
}

// stillThere gives the file that is now under the own name, if the file is the same.
func (db *DB) stillThere(last os.FileInfo) (os.FileInfo, error) {
	now, err := os.Stat(db.path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrReplaced, err)
	case !os.SameFile(last, now):
		return nil, fmt.Errorf("%w: %s is another file", ErrReplaced, db.path)
	case now.Size() < last.Size():
		return nil, fmt.Errorf("%w: %s is cut from %d to %d bytes", ErrReplaced, db.path, last.Size(), now.Size())
	}
	return now, nil
}

// untouched wants, before a transaction is built upon the file, this process's last transaction in the file. A copy
// written over the file has the marks of its day. The seal names the transaction, and covers all that decides about
// signing.
func (db *DB) untouched() error {
	if err := db.inPlace(); err != nil {
		return err
	}
	err := guard(func() error {
		return db.bolt.View(func(tx *bolt.Tx) error {
			if !bytes.Equal(tx.Bucket(bucketMeta).Get(metaSeal), db.seal) {
				return errors.New("the last transaction of this process is missing")
			}
			return nil
		})
	})
	if err != nil {
		db.jammed = errors.Is(err, hwm.ErrCorrupt)
		return fmt.Errorf("%w: %s: %w", ErrReplaced, db.path, err)
	}
	return nil
}

// rememberSeal keeps the seal of a transaction for untouched.
func (db *DB) rememberSeal(tx *bolt.Tx) error {
	db.seal = bytes.Clone(tx.Bucket(bucketMeta).Get(metaSeal))
	return nil
}
