package store

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// checkFile looks at the file before bbolt maps it: what bbolt would repair or create by itself is refused here.
func checkFile(path string) error {
	f, err := os.Open(path) //nolint:gosec // the operator's own path
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrMissing, path)
	}
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &UntrustedError{path, fmt.Errorf("%w: not a regular file", hwm.ErrCorrupt)}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return &ModeError{path, info.Mode().Perm()}
	}
	if err := checkMeta(f, info.Size()); err != nil {
		return &UntrustedError{path, err}
	}
	return nil
}

// ModeError says that others may read or write a file that holds a private key.
type ModeError struct {
	Path string
	Mode os.FileMode
}

func (e *ModeError) Error() string {
	return fmt.Sprintf("%s can be read or written by others (mode %04o)", e.Path, e.Mode)
}

// HintText is what to do.
func (e *ModeError) HintText() string { return "chmod 600 " + e.Path }

// The header that bbolt keeps twice, in its first two pages: after 16 bytes of page header, magic 4 · version 4 · page size 4 ·
// flags 4 · root 16 · freelist 8 · high page 8 · transaction 8 · FNV-64a 8, in the machine's byte order.
const (
	metaOffset   = 16
	metaLen      = 64
	boltMagic    = 0xED0CDAED
	minPageSize  = 1024
	maxPageSize  = 65536
	metaPageSize = 8
	metaHigh     = 40
	metaSum      = 56
)

// checkMeta wants both headers whole. bbolt needs only one: with the newer one damaged it opens the file as it was one
// transaction ago, which lowers a mark. A power cut cannot damage a header, since it lies within one sector.
func checkMeta(f io.ReaderAt, size int64) error {
	first, err := readMeta(f, 0)
	if err != nil {
		return fmt.Errorf("first header: %w", err)
	}
	pageSize := int64(binary.NativeEndian.Uint32(first[metaPageSize:]))
	if pageSize < minPageSize || pageSize > maxPageSize || pageSize&(pageSize-1) != 0 {
		return fmt.Errorf("%w: a page size of %d bytes", hwm.ErrCorrupt, pageSize)
	}
	second, err := readMeta(f, pageSize)
	if err != nil {
		return fmt.Errorf("second header: %w", err)
	}
	for _, m := range [][]byte{first, second} {
		if high := binary.NativeEndian.Uint64(m[metaHigh:]); high > uint64(size/pageSize) { //nolint:gosec // not negative
			return fmt.Errorf("%w: the file is cut: %d pages of %d", hwm.ErrCorrupt, size/pageSize, high)
		}
	}
	return nil
}

func readMeta(f io.ReaderAt, page int64) ([]byte, error) {
	b := make([]byte, metaLen)
	if _, err := f.ReadAt(b, page+metaOffset); err != nil {
		return nil, fmt.Errorf("%w: the file is too short", hwm.ErrCorrupt)
	}
	if binary.NativeEndian.Uint32(b) != boltMagic {
		return nil, fmt.Errorf("%w: not a bbolt file", hwm.ErrCorrupt)
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSum])
	if sum.Sum64() != binary.NativeEndian.Uint64(b[metaSum:]) {
		return nil, fmt.Errorf("%w: its checksum is wrong", hwm.ErrCorrupt)
	}
	return b, nil
}

// guard turns the panics with which bbolt answers damaged pages, and faults in its memory map, into errors.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", hwm.ErrCorrupt, r)
		}
	}()
	return f()
}

// load reads everything into memory, and fails at the first thing that is not as it was written.
func (db *DB) load(tx *bolt.Tx) error {
	var damage error
	for err := range tx.Check() { // to its end, or its goroutine would stay
		damage = errors.Join(damage, err)
	}
	if damage != nil {
		return fmt.Errorf("%w: %w", hwm.ErrCorrupt, damage)
	}
	for _, name := range allBuckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: it has no %s", hwm.ErrCorrupt, name)
		}
	}
	for _, step := range []func(*bolt.Tx) error{db.loadMeta, db.loadPeer, db.loadMarks, db.loadCeilings, db.loadKeys, db.loadSeen, db.loadJournal} {
		if err := step(tx); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) loadMeta(tx *bolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	name, err := hwm.Unseal(metaSchema, meta.Get(metaSchema))
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if string(name) != schema {
		return fmt.Errorf("%w: %q, known is %q", hwm.ErrVersion, name, schema)
	}
	seed, err := hwm.Unseal(metaInstance, meta.Get(metaInstance))
	if err != nil {
		return fmt.Errorf("instance key: %w", err)
	}
	if len(seed) != ed25519.SeedSize {
		return fmt.Errorf("instance key: %w: %d bytes", hwm.ErrCorrupt, len(seed))
	}
	db.instance = ed25519.NewKeyFromSeed(seed)
	if db.role, err = hwm.DecodeRole(metaRole, meta.Get(metaRole)); err != nil {
		return fmt.Errorf("role: %w", err)
	}
	return nil
}

func (db *DB) loadMarks(tx *bolt.Tx) error {
	return tx.Bucket(bucketMarks).ForEach(func(k, v []byte) error {
		var key hwm.Key
		if err := key.UnmarshalBinary(k); err != nil {
			return fmt.Errorf("mark %x: %w", k, err)
		}
		mark, err := hwm.DecodeMark(k, key.PKH.Curve, v)
		if err != nil {
			return fmt.Errorf("mark of %s: %w", key, err)
		}
		db.marks[key] = newEntry(key, mark)
		return nil
	})
}

func newEntry(key hwm.Key, mark hwm.Mark) *entry {
	dbKey, err := key.MarshalBinary()
	if err != nil {
		panic(err) // it has no way to fail
	}
	return &entry{key: key, dbKey: dbKey, mark: mark}
}

func (db *DB) loadCeilings(tx *bolt.Tx) error {
	return tx.Bucket(bucketCeilings).ForEach(func(k, v []byte) error {
		var key hwm.CeilingKey
		if err := key.UnmarshalBinary(k); err != nil {
			return fmt.Errorf("ceiling %x: %w", k, err)
		}
		c, err := hwm.DecodeCeiling(k, v)
		if err != nil {
			return fmt.Errorf("ceiling of %s: %w", key.PKH, err)
		}
		db.ceilings[key] = c
		return nil
	})
}

func (db *DB) loadKeys(tx *bolt.Tx) error {
	return loadJSON(tx, bucketKeys, func(_ []byte, k hwm.KnownKey) error {
		if k.PublicKey == "" {
			return errors.New("no public key")
		}
		public, err := tezos.ParsePublicKey(k.PublicKey)
		if err != nil {
			if !tezos.HasBLS {
				return nil // a build that cannot read it cannot sign with it either
			}
			return err
		}
		db.keys[public.Hash()] = k
		return nil
	})
}

func (db *DB) loadSeen(tx *bolt.Tx) error {
	return loadJSON(tx, bucketSeen, func(_ []byte, s seenRecord) error {
		db.seen[s.seenKey] = s.Position
		return nil
	})
}

func (db *DB) loadJournal(tx *bolt.Tx) error {
	return loadJSON(tx, bucketJournal, func(_ []byte, e JournalEntry) error {
		db.journal = append(db.journal, e)
		return nil
	})
}

// loadJSON reads a bucket of sealed JSON records.
func loadJSON[T any](tx *bolt.Tx, bucket []byte, each func(k []byte, v T) error) error {
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
