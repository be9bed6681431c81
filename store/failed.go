package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// Failed is closed once a commit has failed: Healthy gives the error then. A restart alone ends that state.
func (db *DB) Failed() <-chan struct{} { return db.failed }

// Probe makes a commit that changes nothing, and returns when the commit is durable. A disk that is full, read-only or broken fails here,
// before anything is signed.
func (db *DB) Probe() error {
	return db.durably(func() (*batch, error) { return db.write(func(*bolt.Tx) error { return nil }), nil })
}

// Known lists all marks as they are in memory, in the order in which they are shown, and also after a failed commit. Some of them may not be
// on the disk then: they are floors for another instance, and nothing is signed by them here.
func (db *DB) Known() []hwm.Row {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.rows()
}

// Fails tells of an error whether the disk of the state directory made it, so that a restart may help once the disk works. A file that was
// replaced while it was in use is no such error: a restart would read the other file, whose marks may be too low.
func Fails(err error) bool {
	var disk *DiskError
	return errors.As(err, &disk) && !errors.Is(err, ErrReplaced) && !errors.Is(err, os.ErrPermission)
}

// trialName is the file that Writable writes.
const trialName = "disk-trial"

// Writable tells whether a file of one page can be written durably to a state directory: nil, or what the system says.
func Writable(dir string) error {
	path := filepath.Join(dir, trialName)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode) //nolint:gosec // the operator's own path
	if err != nil {
		return fmt.Errorf("try the disk: %w", err)
	}
	_, err = f.WriteAt(make([]byte, os.Getpagesize()), 0) // as the database is written
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(path))
}
