package store

import (
	"fmt"
	"log/slog"
	"maps"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store/layout"
)

// Seen is a device's own mark as of its last connection.
func (db *DB) Seen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	db.mu.Lock()
	defer db.mu.Unlock()
	p, ok := db.seen[layout.SeenKey{Device: device, PKH: pkh, Kind: uint8(kind)}]
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
	key := layout.SeenKey{Device: device, PKH: pkh, Kind: uint8(kind)}
	record := layout.SeenRecord{SeenKey: key, Position: p}
	write, err := layout.PutJSON(layout.BucketSeen, fmt.Appendf(nil, "%s/%s/%02x", device, pkh, uint8(kind)), record)
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
	return layout.EachJSON(tx, layout.BucketSeen, func(_ []byte, s layout.SeenRecord) error {
		if s.Signed != nil {
			by := hwm.SignedBy{Device: s.Signed.Device, PKH: s.PKH, Kind: tezos.Kind(s.Kind)}
			db.signed[by] = hwm.SignedUpTo{Position: s.Position, Open: s.Signed.Open}
			return nil
		}
		db.seen[s.SeenKey] = s.Position
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
		db.unsaid.say(slog.LevelError, "the last signature of a device is not recorded", "device", device, "error", err)
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
	key := layout.SeenKey{Device: signedPrefix + by.Device, PKH: by.PKH, Kind: uint8(by.Kind)}
	record := layout.SeenRecord{
		SeenKey: key, Position: upTo.Position, Signed: &layout.SignedRecord{Device: by.Device, Open: upTo.Open},
	}
	return layout.PutJSON(layout.BucketSeen, fmt.Appendf(nil, "%s/%s/%02x", key.Device, key.PKH, key.Kind), record)
}
