package store

import (
	"hash/crc32"

	bolt "go.etcd.io/bbolt"
)

// Reseal gives a record another version and the checksum that fits.
func Reseal(dbKey []byte, version byte, record []byte) []byte {
	body := append([]byte{version}, record[1:len(record)-4]...)
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(crc32.Checksum(dbKey, table), table, body)
	return append(body, byte(sum>>24), byte(sum>>16), byte(sum>>8), byte(sum))
}

// During runs f in the middle of a transaction, and waits for that to be durable.
func (db *DB) During(f func() error) error {
	return db.durably(func() (*batch, error) { return db.write(func(*bolt.Tx) error { return f() }), nil })
}

// LockFree tells whether nobody holds the lock of the store now.
func (db *DB) LockFree() bool {
	if !db.mu.TryLock() {
		return false
	}
	db.mu.Unlock()
	return true
}
