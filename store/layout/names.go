// Package layout names the parts of a watermark file, and reads and writes their records.
package layout

import bolt "go.etcd.io/bbolt"

// Names of the buckets, and of the records in the meta bucket.
var (
	BucketMeta     = []byte("meta")
	BucketMarks    = []byte("marks")
	BucketCeilings = []byte("ceilings")
	BucketKeys     = []byte("keys")
	BucketSeen     = []byte("seen")
	BucketJournal  = []byte("journal")
	// BucketHorizons holds a record for each key on a chain: the level up to which the key may sign before its exact
	// marks are on disk. A file of the schema before has no such bucket.
	BucketHorizons = []byte("horizons")
	// Buckets are the buckets of a file of any schema.
	Buckets = [][]byte{BucketMeta, BucketMarks, BucketCeilings, BucketKeys, BucketSeen, BucketJournal}

	MetaSchema   = []byte("schema")
	MetaInstance = []byte("instance")
	MetaRole     = []byte("role")
	MetaSession  = []byte("session")
	MetaSeal     = []byte("seal")
)

// Schema names the layout of the whole file; any other layout is refused, but for the schema before, without horizons
// and session: the first transaction makes a file of this schema of such a file.
const (
	Schema       = "highwater marks, schema 2"
	SchemaBefore = "highwater marks, schema 1"
)

// EmptyBucket makes an empty bucket of this name, in the place of an old bucket, if any.
func EmptyBucket(tx *bolt.Tx, name []byte) error {
	if tx.Bucket(name) != nil {
		if err := tx.DeleteBucket(name); err != nil {
			return err
		}
	}
	_, err := tx.CreateBucket(name)
	return err
}
