package store

import (
	"fmt"
	"log/slog"
	"maps"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// seenKey names a device's word about itself: device identity, key, kind (zero: all kinds).
type seenKey struct {
	Device string              `json:"device"`
	PKH    tezos.PublicKeyHash `json:"pkh"`
	Kind   uint8               `json:"kind"`
}

type seenRecord struct {
	seenKey
	hwm.Position
	Signed *signedRecord `json:"signed,omitempty"` // no mark of a device's own: the signatures made with the device
}

// signedRecord marks the record of a SignedWith.
type signedRecord struct {
	Device string `json:"device"`
	Open   bool   `json:"open"`
}

// Seen is a device's own mark as of its last connection.
func (db *DB) Seen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	p, ok := db.seen[seenKey{device, pkh, uint8(kind)}]
	return p, ok
}

// EachSeen gives all that Seen would give, in no order. The store waits meanwhile.
func (db *DB) EachSeen(each func(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position)) {
	db.mu.Lock()
	defer db.mu.Unlock()
	for k, p := range db.seen {
		each(k.Device, k.PKH, tezos.Kind(k.Kind), p)
	}
}

// SetSeen remembers a device's own mark, durably, also when the mark fell: a fall is a fact about the device.
func (db *DB) SetSeen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) error {
	key := seenKey{device, pkh, uint8(kind)}
	write, err := putJSON(bucketSeen, fmt.Appendf(nil, "%s/%s/%02x", device, pkh, uint8(kind)), seenRecord{key, p, nil})
	if err != nil {
		return err
	}
	return db.durably(func() (*batch, error) {
		if have, known := db.seen[key]; known && have == p {
			return db.latest(), nil
		}
		db.seen[key] = p
		return db.write(write), nil
	})
}

func (db *DB) loadSeen(tx *bolt.Tx) error {
	return loadJSON(tx, bucketSeen, func(_ []byte, s seenRecord) error {
		if s.Signed != nil {
			by := hwm.SignedBy{Device: s.Signed.Device, PKH: s.PKH, Kind: tezos.Kind(s.Kind)}
			db.signed[by] = hwm.SignedUpTo{Position: s.Position, Open: s.Signed.Open}
			return nil
		}
		db.seen[s.seenKey] = s.Position
		return nil
	})
}

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
