package store

import (
	"highwater/hwm"

	bolt "go.etcd.io/bbolt"
)

// entry is a mark in memory.
type entry struct {
	key   hwm.Key
	dbKey []byte
	mark  hwm.Mark
	fresh bool // this process made the mark
	dirty bool // in the next batch already
	late  bool // goes along with the next batch, for no waiter of its own
	// stored: the disk has a mark of this name, the same or a lower mark
	stored bool
}

func newEntry(key hwm.Key, mark hwm.Mark) *entry {
	dbKey, err := key.MarshalBinary()
	if err != nil {
		panic(err) // cannot fail
	}
	return &entry{key: key, dbKey: dbKey, mark: mark}
}

// horizon is "this instance may sign up to here" of a key on a chain, for all its kinds. A run that does not end in
// order leaves the horizon on disk; the next run signs nothing at or below the horizon that is not known exactly.
type horizon struct {
	dbKey   []byte
	want    int32 // of the next transaction
	taken   int32 // of the last begun transaction
	durable int32 // on disk; -1: nothing yet
	queued  bool  // in the next batch already
}

// batch is the content of a transaction; requests wait for it.
type batch struct {
	entries  []*entry
	horizons []*horizon
	levels   []int32 // of the horizons, as they go to disk
	wipe     bool    // all horizons on disk go first
	writes   []func(*bolt.Tx) error
	awaited  bool // somebody waits for late marks
	last     bool // of the run: the marks are exact, and no horizon is left
	done     chan struct{}
	err      error // valid once done is closed
}

func newBatch() *batch { return &batch{done: make(chan struct{})} }

func (b *batch) empty() bool {
	return len(b.entries)+len(b.horizons)+len(b.writes) == 0 && !b.wipe && !b.awaited
}

// Wait returns when the batch is durable (fdatasync returned), or failed: the store is poisoned, and the error says
// so.
func (b *batch) Wait() error {
	<-b.done
	return b.err
}
