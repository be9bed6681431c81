package layout

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/fnv"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// sealedBuckets decide about signing.
var sealedBuckets = [][]byte{BucketMeta, BucketMarks, BucketCeilings, BucketHorizons}

// sealOf sums a file up.
//
// bbolt's pages carry neither checksums nor transaction numbers: a page that a disk lost shows the page's earlier
// content, perhaps whole, valid marks of an older day. The seal, written by every transaction, names the transaction
// and sums all up that decides about signing. A file of which only parts reached the disk does not match its seal.
//
// A seal's body: transaction 8 · FNV-64a 8 over the checksums of all records, in order; a record's checksum covers its
// key.
func sealOf(tx *bolt.Tx) []byte {
	sum := fnv.New64a()
	for _, name := range sealedBuckets {
		b := tx.Bucket(name)
		if b == nil { // a file of the schema before has no horizons
			continue
		}
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			if !bytes.Equal(k, MetaSeal) && len(v) >= 4 {
				sum.Write(v[len(v)-4:])
			}
		}
	}
	body := binary.BigEndian.AppendUint64(nil, uint64(tx.ID())) //nolint:gosec // not negative
	return sum.Sum(body)
}

// PutSeal is the last write of every transaction.
func PutSeal(tx *bolt.Tx) error {
	return tx.Bucket(BucketMeta).Put(MetaSeal, hwm.Seal(MetaSeal, sealOf(tx)))
}

// CheckSeal wants the seal of the header's transaction, over the file's content.
func CheckSeal(tx *bolt.Tx) error {
	have, err := hwm.Unseal(MetaSeal, tx.Bucket(BucketMeta).Get(MetaSeal))
	if err != nil {
		return fmt.Errorf("seal: %w", err)
	}
	if want := sealOf(tx); !bytes.Equal(have, want) {
		return fmt.Errorf("%w: a part of the last transaction is "+
			"missing: sealed %x, found %x", hwm.ErrCorrupt, have, want)
	}
	return nil
}
