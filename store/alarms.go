package store

import (
	"encoding/json"
	"fmt"
	"slices"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store/layout"
)

// metaAlarms is a record that earlier versions do not know and leave as it is.
var metaAlarms = []byte("alarms")

// Alarms are the alarms kept last.
func (db *DB) Alarms() []hwm.Alarm {
	db.mu.Lock()
	defer db.mu.Unlock()
	return slices.Clone(db.alarms)
}

// SetAlarms replaces the kept alarms, durably, by the last hwm.MaxAlarms of the list. An equal list is not written.
func (db *DB) SetAlarms(alarms []hwm.Alarm) error {
	kept := slices.Clone(alarms[max(0, len(alarms)-hwm.MaxAlarms):])
	write, err := layout.PutJSON(layout.BucketMeta, metaAlarms, kept)
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		if slices.Equal(db.alarms, kept) {
			return db.latest(), nil
		}
		db.alarms = kept
		return db.write(write), nil
	})
}

// loadAlarms reads the alarms, if any.
func (db *DB) loadAlarms(tx *bolt.Tx) error {
	record := tx.Bucket(layout.BucketMeta).Get(metaAlarms)
	if record == nil {
		return nil
	}
	body, err := hwm.Unseal(metaAlarms, record)
	if err != nil {
		return fmt.Errorf("alarms: %w", err)
	}
	if err := json.Unmarshal(body, &db.alarms); err != nil {
		return fmt.Errorf("alarms: %w: %w", hwm.ErrCorrupt, err)
	}
	return nil
}
