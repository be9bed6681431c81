package store

import (
	"errors"
	"hash/crc32"
	"os"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"highwater/store/disk"
	"highwater/store/layout"
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

// Abandon ends a run as a kill does: what is on its way to the disk may get there, nothing else is written, and the
// runtime file stays.
func (db *DB) Abandon() error {
	db.poison(errors.New("killed"))
	return db.Close()
}

// RuntimeFile is where this run keeps its exact marks.
func (db *DB) RuntimeFile() string { return db.runtimePath() }

// OtherBoot makes the last run one of another boot.
func OtherBoot(tx *bolt.Tx) error {
	r, err := layout.DecodeSession(tx.Bucket(layout.BucketMeta).Get(layout.MetaSession))
	if err != nil {
		return err
	}
	r.Boot[0] ^= 0xff
	return errors.Join(tx.Bucket(layout.BucketMeta).Put(layout.MetaSession, r.Encode()), layout.PutSeal(tx))
}

// OnAReadOnlyFileSystem lets every opening for writing fail, until the result is called.
func OnAReadOnlyFileSystem() (mend func()) {
	disk.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		if flag&(os.O_RDWR|os.O_WRONLY|os.O_CREATE) != 0 {
			return nil, &os.PathError{Op: "open", Path: name, Err: unix.EROFS}
		}
		return os.OpenFile(name, flag, mode)
	}
	return func() { disk.OpenFile = os.OpenFile }
}
