package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

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

// place is a file, and its size.
type place struct {
	id   fileID
	size int64
}

// placeOf gives the file under a name. A request under a horizon waits for this call and no other: os.Stat makes six
// allocations.
func placeOf(path string) (place, error) {
	var st unix.Stat_t
	for {
		switch err := unix.Stat(path, &st); err {
		case nil:
			return place{fileID{uint64(st.Dev), st.Ino}, st.Size}, nil //nolint:unconvert // narrower elsewhere
		case unix.EINTR:
		default:
			return place{}, &os.PathError{Op: "stat", Path: path, Err: err}
		}
	}
}

// placeOfOpen gives the file that is open, under whatever name.
func placeOfOpen(f *os.File) (place, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return place{}, os.NewSyscallError("fstat", err)
	}
	return place{fileID{uint64(st.Dev), st.Ino}, st.Size}, nil //nolint:unconvert // narrower elsewhere
}

// stillThere gives the file that is now under the own name, if the file is the same.
func (db *DB) stillThere(last place) (place, error) {
	now, err := placeOf(db.path)
	switch {
	case err != nil:
		return place{}, fmt.Errorf("%w: %w", ErrReplaced, err)
	case now.id != last.id:
		return place{}, fmt.Errorf("%w: %s is another file", ErrReplaced, db.path)
	case now.size < last.size:
		return place{}, fmt.Errorf("%w: %s is cut from %d to %d bytes", ErrReplaced, db.path, last.size, now.size)
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
