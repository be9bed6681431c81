package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store/disk"
	"highwater/store/layout"
	"highwater/store/pages"
)

// Options for Open. The zero value is fine.
type Options struct {
	Log      *slog.Logger
	OnCommit func(time.Duration) // told how long each commit took
	// Ahead is by how many levels a key's horizon is kept ahead of its signatures: a signature at or below a horizon
	// on disk waits for no commit. 0: every signature waits for its own.
	Ahead int32
	// RuntimeDir is a directory on a tmpfs, where exact marks outlive the process and not the boot. Empty, or on
	// anything else: a kill costs as much as a power cut.
	RuntimeDir string
	// Reading opens a database on a read-only file system as well. Such a database has failed from the start, as after
	// a failed commit: it shows what is on the disk, and nothing is signed by it.
	Reading bool
	// By is the user of a command without a daemon, for the entries of the journal; empty: the instance itself.
	By string
}

// Open locks the state directory, loads its database and checks all of it. Errors wrap ErrMissing, ErrInUse,
// hwm.ErrCorrupt or hwm.ErrVersion, or are a *disk.Error; an untrustworthy file is never repaired by guessing.
//
// Invariant: everything that Open shows is on the disk, not only in the page cache, and so is the file's name: from
// the start all memory is durable.
func Open(ctx context.Context, dir string, opt Options) (*DB, error) {
	path := filepath.Join(dir, FileName)
	lock, err := disk.LockDir(ctx, dir, openTimeout, opt.Reading)
	if err != nil {
		return nil, disk.Failing(err)
	}
	db, err := open(path, opt, lock.ReadOnly != nil)
	if err != nil {
		return nil, disk.Failing(errors.Join(err, lock.Release()))
	}
	db.lock = lock
	if lock.ReadOnly != nil {
		_, _ = db.spoil(fmt.Errorf("the state directory cannot be written: %w", lock.ReadOnly))
	}
	go db.commitLoop()
	return db, nil
}

func open(path string, opt Options, readOnly bool) (*DB, error) {
	if err := checkFile(path); err != nil {
		return nil, err
	}
	db := &DB{
		path: path, by: opt.By, log: opt.Log, obs: opt.OnCommit, ahead: max(0, opt.Ahead), runtimeDir: opt.RuntimeDir,
		horizons: map[hwm.CeilingKey]*horizon{},
		marks:    map[hwm.Key]*entry{}, ceilings: map[hwm.CeilingKey]hwm.Ceiling{},
		keys: map[tezos.PublicKeyHash]hwm.KnownKey{}, seen: map[layout.SeenKey]hwm.Position{},
		signed: map[hwm.SignedBy]hwm.SignedUpTo{},
		next:   newBatch(), taken: newBatch(), wake: make(chan struct{}, 1),
		unsaid: unsaid{due: make(chan struct{}, 1)}, stop: make(chan struct{}), committed: make(chan struct{}),
		calmTimer: time.NewTimer(unhurriedDelay), lateTimer: time.NewTimer(lateDelay), failed: make(chan struct{}),
	}
	close(db.taken.done)
	if db.log == nil {
		db.log = slog.New(slog.DiscardHandler)
	}
	db.unsaid.log = db.log
	if db.obs == nil {
		db.obs = func(time.Duration) {}
	}
	if err := db.drawSession(); err != nil {
		return nil, err
	}
	err := pages.Guard(func() error {
		var err error
		if err = db.openBolt(readOnly); err != nil {
			return err
		}
		return db.bolt.View(db.load)
	})
	if err != nil {
		err = db.distrust(err)
		if db.bolt != nil {
			err = errors.Join(err, db.bolt.Close())
		}
		return nil, err
	}
	return db, nil
}

func (db *DB) openBolt(readOnly bool) (err error) {
	db.bolt, err = bolt.Open(db.path, disk.FileMode, &bolt.Options{
		ReadOnly:       readOnly,
		Timeout:        openTimeout,
		NoFreelistSync: true, // found again by a scan at start; saves pages in each commit
		FreelistType:   bolt.FreelistMapType,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			f, openErr := os.OpenFile(name, flag&^os.O_CREATE, mode) //nolint:gosec // the operator's own path
			if openErr != nil {
				return nil, openErr
			}
			if db.file, openErr = disk.PlaceOfOpen(f); openErr != nil {
				return nil, errors.Join(openErr, f.Close())
			}
			return f, nil
		},
	})
	return err
}

// Close ends the run in order: a transaction holds everything that waits and every exact mark, takes the horizons
// back to the marks, and calls the run clean. Afterwards the committer ends, and the directory is free. Close after
// Close is ErrClosed.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return ErrClosed
	}
	db.closed = true
	db.mu.Unlock()
	db.calmTimer.Stop()
	db.lateTimer.Stop()
	close(db.stop)
	<-db.committed
	db.endRuntime()
	if db.jammed { // closing would wait for bbolt's locks: the file goes with the process
		return db.lock.Release()
	}
	return errors.Join(db.bolt.Close(), db.lock.Release())
}

// distrust explains why a file cannot be used, and how to go on.
func (db *DB) distrust(err error) error {
	if errors.Is(err, berrors.ErrTimeout) {
		return fmt.Errorf("%w: another process has %s open", ErrInUse, db.path)
	}
	return &UntrustedError{Path: db.path, Err: err}
}
