package store

import (
	"fmt"

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
