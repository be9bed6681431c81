// Package store keeps marks, ceilings, the role and the identity of an instance in one bbolt file, durable before
// anybody acts on them.
//
// The process holds the exclusive locks of the state directory and of the file, so memory is the truth once loaded;
// the file is written from memory. A single goroutine commits; changes that arrive while a transaction syncs go into
// the next transaction.
package store

import (
	"crypto/ed25519"
	"errors"
	"log/slog"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store/bootmarks"
	"highwater/store/disk"
	"highwater/store/layout"
)

// FileName is the name of the database in the state directory.
const FileName = "marks.db"

// openTimeout bounds the wait for another process that is about to let the file go.
const openTimeout = 2 * time.Second

var (
	// ErrMissing is returned when the state directory has no database. Opening never creates a database.
	ErrMissing = disk.ErrMissing
	// ErrExists is returned by Create when a database exists already.
	ErrExists = errors.New("a watermark file exists already")
	// ErrInUse is returned when another process holds the state directory.
	ErrInUse = disk.ErrInUse
	// ErrPoisoned is returned by everything after a failed commit: the content of the disk is unknown.
	ErrPoisoned = errors.New("a commit to the watermark file failed: nothing is signed until a restart")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("the watermark file is closed")
)

// DB is an open state directory. A DB is safe for concurrent use.
type DB struct {
	path string
	bolt *bolt.DB
	file disk.Place // the open file, as it was at the last commit; under mu
	lock *disk.Lock
	log  *slog.Logger
	obs  func(time.Duration) // told how long each commit took

	instance ed25519.PrivateKey

	mu       sync.Mutex
	marks    map[hwm.Key]*entry
	ceilings map[hwm.CeilingKey]hwm.Ceiling
	role     hwm.RoleRecord
	keys     map[tezos.PublicKeyHash]hwm.KnownKey
	seen     map[layout.SeenKey]hwm.Position
	signed   map[hwm.SignedBy]hwm.SignedUpTo
	journal  []hwm.JournalEntry
	by       string // the user of this process's own entries; empty: the instance itself

	forgotten uint64    // entries that had to go
	peer      *hwm.Peer // nil: alone
	register  hwm.RegisterSeen
	alarms    []hwm.Alarm
	poisoned  error         // set once, by a failed commit
	failed    chan struct{} // closed at the same moment
	closed    bool          // no newcomers
	next      *batch        // the content of the next transaction
	taken     *batch        // the batch before next
	late      []*entry
	horizons  map[hwm.CeilingKey]*horizon
	begun     bool     // the first transaction of this run is on disk
	floored   []*entry // marks that the end of the run before moved: the first transaction takes them along
	unsaid    unsaid   // lines of the log, for the committer
	runtime   *bootmarks.File

	ahead      int32
	runtimeDir string
	session    layout.Session // of this run
	ended      Ending         // of the run before

	schemaBefore bool // as the file was found: without horizons yet

	roleMu    sync.Mutex // a single change of role at a time
	seal      []byte     // of the last transaction; the committer's, as is jammed
	jammed    bool       // bbolt panicked in a commit, and may hold its own locks for good
	wake      chan struct{}
	calmTimer *time.Timer // fires when horizons have waited for company long enough; firing for nothing is harmless
	lateTimer *time.Timer // fires when signatures have waited for company long enough; firing for nothing is harmless
	stop      chan struct{}
	committed chan struct{} // closed when the committer has ended
}

// Healthy tells whether marks can still be made durable: nil, ErrPoisoned or ErrClosed.
func (db *DB) Healthy() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.usable()
}

// usable is Healthy; the caller holds db.mu.
func (db *DB) usable() error {
	if db.closed {
		return ErrClosed
	}
	return db.poisoned
}

// Path is the database's file.
func (db *DB) Path() string { return db.path }

// Instance is the identity of this state directory: its ed25519 public key.
func (db *DB) Instance() hwm.InstanceID {
	return hwm.InstanceID(db.instance.Public().(ed25519.PublicKey)) //nolint:errcheck // always of this type
}
