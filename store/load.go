package store

import (
	"crypto/ed25519"
	"fmt"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// guard makes errors of the panics of bbolt at damaged pages, and of faults in its memory map.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", hwm.ErrCorrupt, r)
		}
	}()
	return f()
}

// load reads everything into memory, and fails at the first record that is not as written.
func (db *DB) load(tx *bolt.Tx) error {
	for _, name := range allBuckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: the part %s is missing", hwm.ErrCorrupt, name)
		}
	}
	for _, step := range []func(*bolt.Tx) error{db.loadMeta, db.loadPeer, db.loadRegister, db.loadAlarms, db.loadMarks, db.loadHorizons, db.loadCeilings, db.loadKeys, db.loadSeen, db.loadJournal, checkSeal, db.rememberSeal} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) loadMeta(tx *bolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	name, err := hwm.Unseal(metaSchema, meta.Get(metaSchema))
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	db.schemaBefore = string(name) == schemaBefore
	if string(name) != schema && !db.schemaBefore {
		return fmt.Errorf("%w: %q, known is %q", hwm.ErrVersion, name, schema)
	}
	seed, err := hwm.Unseal(metaInstance, meta.Get(metaInstance))
	if err != nil {
		return fmt.Errorf("instance key: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return fmt.Errorf("instance key: %w: %d bytes", hwm.ErrCorrupt, len(seed))
	}
	db.instance = ed25519.NewKeyFromSeed(seed)
	if db.role, err = hwm.DecodeRole(metaRole, meta.Get(metaRole)); err != nil {
		return fmt.Errorf("role: %w", err)
	}
	return nil
}

func (db *DB) loadMarks(tx *bolt.Tx) error {
	return tx.Bucket(bucketMarks).ForEach(func(k, v []byte) error {
		var key hwm.Key
		if err := key.UnmarshalBinary(k); err != nil {
			return fmt.Errorf("mark %x: %w", k, err)
		}
		mark, err := hwm.DecodeMark(k, key.PKH.Curve, v)
		if err != nil {
			return fmt.Errorf("mark of %s: %w", key, err)
		}
		e := newEntry(key, mark)
		e.stored = true
		db.marks[key] = e
		return nil
	})
}

func newEntry(key hwm.Key, mark hwm.Mark) *entry {
	dbKey, err := key.MarshalBinary()
	if err != nil {
		panic(err) // cannot fail
	}
	return &entry{key: key, dbKey: dbKey, mark: mark}
}
