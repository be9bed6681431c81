package store

import (
	"fmt"
	"maps"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// signedPrefix begins the name under which a hwm.SignedWith is kept, among the marks that devices had: versions before it take it for
// one of those, of a device that is never connected.
const signedPrefix = "signed with "

// SignedWith gives what was signed with each device, as it was noted last.
func (db *DB) SignedWith() map[hwm.SignedBy]hwm.SignedUpTo {
	db.mu.Lock()
	defer db.mu.Unlock()
	return maps.Clone(db.signed)
}

// NoteSigned remembers what was signed with devices. It does not wait: it goes to the disk before, or with, every signature that is kept
// after it. A crash may lose it, together with those.
func (db *DB) NoteSigned(rows map[hwm.SignedBy]hwm.SignedUpTo) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.usable() != nil {
		return // nothing is signed any more either
	}
	for by, upTo := range rows {
		if db.signed[by] == upTo {
			continue
		}
		write, err := db.putSigned(by, upTo)
		if err != nil {
			db.log.Error("what was signed with a device is not kept", "device", by.Device, "error", err)
			continue
		}
		db.signed[by] = upTo
		db.write(write)
	}
}

func (db *DB) putSigned(by hwm.SignedBy, upTo hwm.SignedUpTo) (func(*bolt.Tx) error, error) {
	key := seenKey{signedPrefix + by.Device, by.PKH, uint8(by.Kind)}
	record := seenRecord{key, upTo.Position, &signedRecord{by.Device, upTo.Open}}
	return putJSON(bucketSeen, fmt.Appendf(nil, "%s/%s/%02x", key.Device, key.PKH, key.Kind), record)
}

// signedRecord is there in the record of a SignedWith.
type signedRecord struct {
	Device string `json:"device"`
	Open   bool   `json:"open"`
}
