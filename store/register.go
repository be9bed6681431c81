package store

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

var metaRegister = []byte("register")

// RegisterSeen is the newest that this instance has seen of the register that it shares; the zero value without one.
func (db *DB) RegisterSeen() hwm.RegisterSeen {
	db.mu.Lock()
	defer db.mu.Unlock()
	return db.register
}

// SeeRegister changes what this instance has seen of the register, durably.
func (db *DB) SeeRegister(change func(*hwm.RegisterSeen)) error {
	db.roleMu.Lock()
	defer db.roleMu.Unlock()
	next := db.RegisterSeen()
	change(&next)
	write, err := layout.PutJSON(layout.BucketMeta, metaRegister, next)
	if err != nil {
		return err
	}
	if err := db.durably(func() (*batch, error) { return db.write(write), nil }); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.register = next
	return nil
}

func (db *DB) loadRegister(tx *bolt.Tx) error {
	record := tx.Bucket(layout.BucketMeta).Get(metaRegister)
	if record == nil {
		return nil
	}
	body, err := hwm.Unseal(metaRegister, record)
	if err != nil {
		return fmt.Errorf("register: %w", err)
	}
	if err := json.Unmarshal(body, &db.register); err != nil {
		return fmt.Errorf("register: %w: %w", hwm.ErrCorrupt, err)
	}
	return nil
}
