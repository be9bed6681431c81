package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"highwater/store/disk"
)

// Failed is closed once a commit has failed: Healthy gives the error. Only a restart ends the failed state.
func (db *DB) Failed() <-chan struct{} { return db.failed }

// poison ends all signing of this process: after a failed commit the content of the disk is unknown.
func (db *DB) poison(cause error) error {
	first, poisoned := db.spoil(cause)
	if first {
		db.unsaid.say(slog.LevelError, "commit failed", "error", cause)
	}
	return poisoned
}

// spoil is poison without a line in the log. first tells that nothing had failed before.
func (db *DB) spoil(cause error) (first bool, poisoned error) {
	db.mu.Lock()
	defer db.mu.Unlock()
	first = db.poisoned == nil
	if first {
		db.poisoned = &disk.Error{Err: fmt.Errorf("%w: %w", ErrPoisoned, cause)}
		close(db.failed)
	}
	return first, db.poisoned
}

// Probe makes a commit that changes nothing, and returns when the commit is durable. A full, read-only or broken disk
// fails here, before anything is signed.
func (db *DB) Probe() error {
	return db.durably(func() (*batch, error) { return db.write(func(*bolt.Tx) error { return nil }), nil })
}

// Fails tells whether the disk of the state directory made an error, so that a restart may help once the disk works.
// A file replaced during its use is no such error: a restart would read the new file, and the new file's marks may be
// too low.
func Fails(err error) bool {
	var failing *disk.Error
	return errors.As(err, &failing) && !errors.Is(err, disk.ErrReplaced) && !errors.Is(err, os.ErrPermission)
}

// trialName is the file that Writable writes.
const trialName = "disk-trial"

// Writable tells whether a file of one page can be written durably to a state directory: nil, or the system's error.
func Writable(dir string) error {
	path := filepath.Join(dir, trialName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, disk.FileMode) //nolint:gosec // the operator's own path
	if err != nil {
		return fmt.Errorf("try the disk: %w", err)
	}
	_, err = f.WriteAt(make([]byte, os.Getpagesize()), 0) // as the database is written
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
}
