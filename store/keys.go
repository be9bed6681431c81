package store

import (
	"errors"
	"maps"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store/layout"
)

// KnownKeys gives all known keys.
func (db *DB) KnownKeys() map[tezos.PublicKeyHash]hwm.KnownKey {
	db.mu.Lock()
	defer db.mu.Unlock()
	return maps.Clone(db.keys)
}

// KnownKey is one of KnownKeys.
func (db *DB) KnownKey(pkh tezos.PublicKeyHash) (hwm.KnownKey, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	k, ok := db.keys[pkh]
	return k, ok
}

// RememberKey keeps a key, durably; nothing is written when nothing is new.
func (db *DB) RememberKey(k hwm.KnownKey) error {
	public, err := tezos.ParsePublicKey(k.PublicKey)
	if err != nil {
		return err
	}
	pkh := public.Hash()
	write, err := layout.PutJSON(layout.BucketKeys, pkh.Bytes(), k)
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		if db.keys[pkh] == k {
			return db.latest(), nil
		}
		db.keys[pkh] = k
		return db.write(write), nil
	})
}

func (db *DB) loadKeys(tx *bolt.Tx) error {
	return layout.EachJSON(tx, layout.BucketKeys, func(_ []byte, k hwm.KnownKey) error {
		if k.PublicKey == "" {
			return errors.New("no public key")
		}
		public, err := tezos.ParsePublicKey(k.PublicKey)
		if err != nil {
			if !tezos.HasBLS {
				return nil // a build that cannot read the key cannot sign with the key either
			}
			return err
		}
		db.keys[public.Hash()] = k
		return nil
	})
}
