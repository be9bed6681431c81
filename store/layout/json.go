package layout

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
)

// PutJSON makes a write of a sealed JSON record. A value without JSON, and a key that is too long, are found out
// here: a failing write would poison the store.
func PutJSON(bucket, key []byte, value any) (func(*bolt.Tx) error, error) {
	body, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	if len(key) > bolt.MaxKeySize {
		return nil, fmt.Errorf("a name of %d bytes is too long", len(key))
	}
	return func(tx *bolt.Tx) error { return tx.Bucket(bucket).Put(key, hwm.Seal(key, body)) }, nil
}

// EachJSON reads a bucket of sealed JSON records.
func EachJSON[T any](tx *bolt.Tx, bucket []byte, each func(k []byte, v T) error) error {
	return tx.Bucket(bucket).ForEach(func(k, v []byte) error {
		body, err := hwm.Unseal(k, v)
		if err != nil {
			return fmt.Errorf("%s %x: %w", bucket, k, err)
		}
		var value T
		if err := json.Unmarshal(body, &value); err != nil {
			return fmt.Errorf("%s %x: %w: %w", bucket, k, hwm.ErrCorrupt, err)
		}
		if err := each(k, value); err != nil {
			return fmt.Errorf("%s %x: %w: %w", bucket, k, hwm.ErrCorrupt, err)
		}
		return nil
	})
}
