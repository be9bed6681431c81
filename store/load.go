package store

import (
	"crypto/ed25519"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

// load reads everything into memory, and fails at the first record that is not as written.
func (db *DB) load(tx *bolt.Tx) error {
	for _, name := range layout.Buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: the part %s is missing", hwm.ErrCorrupt, name)
		}
	}
	for _, step := range []func(*bolt.Tx) error{
		db.loadMeta, db.loadPeer, db.loadRegister, db.loadAlarms, db.loadMarks,
		db.loadHorizons, db.loadCeilings, db.loadKeys, db.loadSeen, db.loadJournal, layout.CheckSeal, db.rememberSeal,
	} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) loadMeta(tx *bolt.Tx) error {
	meta := tx.Bucket(layout.BucketMeta)
	name, err := hwm.Unseal(layout.MetaSchema, meta.Get(layout.MetaSchema))
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	db.schemaBefore = string(name) == layout.SchemaBefore
	if string(name) != layout.Schema && !db.schemaBefore {
		return fmt.Errorf("%w: %q, known is %q", hwm.ErrVersion, name, layout.Schema)
	}
	seed, err := hwm.Unseal(layout.MetaInstance, meta.Get(layout.MetaInstance))
	if err != nil {
		return fmt.Errorf("instance key: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return fmt.Errorf("instance key: %w: %d bytes", hwm.ErrCorrupt, len(seed))
	}
	db.instance = ed25519.NewKeyFromSeed(seed)
	if db.role, err = hwm.DecodeRole(layout.MetaRole, meta.Get(layout.MetaRole)); err != nil {
		return fmt.Errorf("role: %w", err)
	}
	return nil
}

func (db *DB) loadMarks(tx *bolt.Tx) error {
	return tx.Bucket(layout.BucketMarks).ForEach(func(k, v []byte) error {
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
