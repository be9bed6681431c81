package store

import (
	"fmt"
	"log/slog"
	"maps"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// signedPrefix begins the name under which a hwm.SignedWith is kept, among devices' own marks: an earlier version
// takes the record for the mark of a device that is never connected.
const signedPrefix = "signed with "

// SignedWith gives how far each device signed, as noted last.
func (db *DB) SignedWith() map[hwm.SignedBy]hwm.SignedUpTo {
	db.mu.Lock()
	defer db.mu.Unlock()
	return maps.Clone(db.signed)
}

// NoteSigned notes how far devices signed. NoteSigned does not wait: the note goes to the disk before, or with, every
// signature kept later. A crash may lose the note, together with the signatures.
func (db *DB) NoteSigned(rows map[hwm.SignedBy]hwm.SignedUpTo) {
	for device, err := range db.noteSigned(rows) {
		db.say(slog.LevelError, "the last signature of a device is not recorded", "device", device, "error", err)
	}
}

// noteSigned gives the errors, by device.
func (db *DB) noteSigned(rows map[hwm.SignedBy]hwm.SignedUpTo) map[string]error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.usable() != nil {
		return nil // nothing is signed any more either
	}
	failed := map[string]error{}
	for by, upTo := range rows {
		if db.signed[by] == upTo {
			continue
		}
		write, err := db.putSigned(by, upTo)
		if err != nil {
			failed[by.Device] = err
			continue
		}
		db.signed[by] = upTo
		db.write(write)
	}
	return failed
}

func (db *DB) putSigned(by hwm.SignedBy, upTo hwm.SignedUpTo) (func(*bolt.Tx) error, error) {
	key := seenKey{signedPrefix + by.Device, by.PKH, uint8(by.Kind)}
	record := seenRecord{key, upTo.Position, &signedRecord{by.Device, upTo.Open}}
	return putJSON(bucketSeen, fmt.Appendf(nil, "%s/%s/%02x", key.Device, key.PKH, key.Kind), record)
}

// signedRecord marks the record of a SignedWith.
type signedRecord struct {
	Device string `json:"device"`
	Open   bool   `json:"open"`
}
