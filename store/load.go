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
	"path/filepath"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// checkFile looks at the file before bbolt maps it: what bbolt would repair or create by itself is refused here.
func checkFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrMissing, path)
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &UntrustedError{path, fmt.Errorf("%w: not a regular file", hwm.ErrCorrupt)}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return &ModeError{path, info.Mode().Perm()}
	}
	f, err := os.Open(path) //nolint:gosec // the operator's own path; a regular file: opening does not wait
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	if err = settle(f); err != nil {
		return err
	}
	if err = syncDir(filepath.Dir(path)); err != nil { // that the file has this name
		return err
	}
	var disk *DiskError
	if err = checkPages(f, info.Size()); err == nil || errors.As(err, &disk) {
		return err
	}
	return &UntrustedError{path, err}
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
// flags 4 · root 8 · sequence 8 · freelist 8 · high page 8 · transaction 8 · FNV-64a 8, in the machine's byte order.
const (
	metaOffset   = 16
	metaLen      = 64
	boltMagic    = 0xED0CDAED
	boltVersion  = 2
	minPageSize  = 1024
	maxPageSize  = 65536
	metaVersion  = 4
	metaPageSize = 8
	metaRoot     = 16
	metaFreelist = 32
	metaHigh     = 40
	metaTx       = 48
	metaSum      = 56
)

// boltMeta is what such a header says.
type boltMeta struct {
	pageSize                     int64
	root, freelist, high, number uint64
}

// checkPages wants both headers whole, and the pages that the newer one leads to. bbolt needs only one header: with the newer one
// damaged it opens the file as it was one transaction ago, which lowers a mark. A power cut cannot damage a header, since it lies
// within one sector.
func checkPages(f io.ReaderAt, size int64) error {
	first, err := readMeta(f, 0, size)
	if err != nil {
		return fmt.Errorf("first header: %w", err)
	}
	second, err := readMeta(f, first.pageSize, size)
	if err != nil {
		return fmt.Errorf("second header: %w", err)
	}
	if first.pageSize != second.pageSize {
		return fmt.Errorf("%w: its headers are of two files", hwm.ErrCorrupt)
	}
	if second.number > first.number {
		first = second
	}
	if first.freelist != noFreelist { // ours never keep one; bbolt would believe it
		return fmt.Errorf("%w: another program wrote to it: it has a list of free pages", hwm.ErrCorrupt)
	}
	return verifyPages(f, first)
}

func readMeta(f io.ReaderAt, page, size int64) (boltMeta, error) {
	b := make([]byte, metaLen)
	if _, err := f.ReadAt(b, page+metaOffset); err != nil {
		return boltMeta{}, unreadable(err, "the file is too short")
	}
	if binary.NativeEndian.Uint32(b) != boltMagic || binary.NativeEndian.Uint32(b[metaVersion:]) != boltVersion {
		return boltMeta{}, fmt.Errorf("%w: not a bbolt file", hwm.ErrCorrupt)
	}
	sum := fnv.New64a()
	sum.Write(b[:metaSum])
	if sum.Sum64() != binary.NativeEndian.Uint64(b[metaSum:]) {
		return boltMeta{}, fmt.Errorf("%w: its checksum is wrong", hwm.ErrCorrupt)
	}
	m := boltMeta{
		pageSize: int64(binary.NativeEndian.Uint32(b[metaPageSize:])), root: binary.NativeEndian.Uint64(b[metaRoot:]),
		freelist: binary.NativeEndian.Uint64(b[metaFreelist:]), high: binary.NativeEndian.Uint64(b[metaHigh:]),
		number: binary.NativeEndian.Uint64(b[metaTx:]),
	}
	if m.pageSize < minPageSize || m.pageSize > maxPageSize || m.pageSize&(m.pageSize-1) != 0 {
		return boltMeta{}, fmt.Errorf("%w: a page size of %d bytes", hwm.ErrCorrupt, m.pageSize)
	}
	if m.high > uint64(size/m.pageSize) { //nolint:gosec // not negative
		return boltMeta{}, fmt.Errorf("%w: the file is cut: %d pages of %d", hwm.ErrCorrupt, size/m.pageSize, m.high)
	}
	return m, nil
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
	for _, name := range allBuckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: it has no %s", hwm.ErrCorrupt, name)
		}
	}
	for _, step := range []func(*bolt.Tx) error{db.loadMeta, db.loadPeer, db.loadAlarms, db.loadMarks, db.loadHorizons, db.loadCeilings, db.loadKeys, db.loadSeen, db.loadJournal, checkSeal, db.rememberSeal} {
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
	db.schemaBefore = string(name) == schemaBefore
	if string(name) != schema && !db.schemaBefore {
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
		e := newEntry(key, mark)
		e.stored = true
		db.marks[key] = e
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
		if s.Signed != nil {
			by := hwm.SignedBy{Device: s.Signed.Device, PKH: s.PKH, Kind: tezos.Kind(s.Kind)}
			db.signed[by] = hwm.SignedUpTo{Position: s.Position, Open: s.Signed.Open}
			return nil
		}
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
