package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/storetest"
)

// contents is everything in a store that decides what may be signed.
type contents struct {
	Rows     []hwm.Row
	Ceilings map[hwm.CeilingKey]hwm.Ceiling
	Role     hwm.RoleRecord
}

func contentsOf(t *testing.T, db *store.DB) contents {
	t.Helper()
	rows, err := db.Rows()
	require.NoError(t, err)
	return contents{rows, db.Ceilings(), db.Role()}
}

// reopened opens a file's bytes as a store in a directory, and gives what it shows, or the refusal.
func reopened(t *testing.T, dir string, file []byte) (contents, error) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, store.FileName), file, 0o600))
	db, err := tryOpen(dir)
	if err != nil {
		requireHint(t, err)
		return contents{}, err
	}
	c := contentsOf(t, db)
	require.NoError(t, db.Close())
	return c, nil
}

// history makes a file with some past, so that its free pages hold marks of older days, and gives the file before and
// after one more commit, with what each shows.
func history(t *testing.T, keys int, last func(*testing.T, *store.DB)) (before, after []byte, old, now contents) {
	t.Helper()
	dir := newDir(t)
	path := filepath.Join(dir, store.FileName)
	db := openDir(t, dir)
	var names []hwm.Key
	for n := range keys {
		names = append(names, storetest.Key(n, tezos.Block))
	}
	storetest.Floor(t, db, 0, names...)
	for level := int32(1); level <= 9; level++ {
		for _, k := range names {
			require.NoError(t, storetest.Advance(db, k, storetest.Mark(level, 0, byte(level))))
			if keys > manyKeys { // so many that their ceilings have pages of their own
				lowerCeiling(t, db, k, 100-level)
			}
		}
	}
	old = contentsOf(t, db)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	last(t, db)
	now = contentsOf(t, db)
	after, err = os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, after, len(before), "the file grew: choose another history")
	return before, after, old, now
}

func advanceOne(t *testing.T, db *store.DB) {
	require.NoError(t, storetest.Advance(db, storetest.Key(1, tezos.Block), storetest.Mark(10, 0, 10)))
}

// differing lists the pages in which two files differ.
func differing(a, b []byte, page int) (pages []int) {
	for at := 0; at < len(a); at += page {
		if !bytes.Equal(a[at:at+page], b[at:at+page]) {
			pages = append(pages, at)
		}
	}
	return pages
}

// A commit of which any subset of the pages reached the disk, in whole pages or in single sectors, shows the state
// before it, the one after it, or nothing at all: never an older one, never a mix. A disk that honours fdatasync gives
// fewer cases than these.
func TestTornCommit(t *testing.T) {
	for name, c := range map[string]struct {
		keys int
		last func(*testing.T, *store.DB)
	}{
		"one key":            {2, advanceOne},
		"64 keys":            {64, advanceOne},
		"ceiling":            {2, func(t *testing.T, db *store.DB) { setCeiling(t, db, 11) }},
		"ceiling among many": {64, func(t *testing.T, db *store.DB) { setCeiling(t, db, 11) }},
		"role":               {2, func(t *testing.T, db *store.DB) { activate(t, db, 15) }},
		"two keys": {40, func(t *testing.T, db *store.DB) {
			storetest.Floor(t, db, 12, storetest.Key(0, tezos.Block), storetest.Key(39, tezos.Block))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			before, after, old, now := history(t, c.keys, c.last)
			require.NotEqual(t, old, now)
			page := os.Getpagesize()
			pages := differing(before, after, page)
			require.Contains(t, []int{0, page}, pages[0], "a commit writes a header")
			require.Less(t, len(pages), 10)
			dir := t.TempDir()
			seen := map[string]int{}
			for subset := range 1 << len(pages) {
				file := slices.Clone(before)
				for i, at := range pages {
					if subset&(1<<i) != 0 {
						copy(file[at:at+page], after[at:at+page])
					}
				}
				seen[verdict(t, dir, file, old, now, fmt.Sprintf("subset %b of pages %d", subset, pages))]++
			}
			require.Positive(t, seen["old"])
			require.Positive(t, seen["new"])
			require.Positive(t, seen["refused"])
			// Sectors of 512 bytes, at random.
			random := rand.New(rand.NewPCG(1, 2))
			sectors := differing(before, after, 512)
			for range 200 {
				file := slices.Clone(before)
				for _, at := range sectors {
					if random.IntN(2) == 0 {
						copy(file[at:at+512], after[at:at+512])
					}
				}
				verdict(t, dir, file, old, now, "random sectors")
			}
		})
	}
}

// manyKeys is how many keys a history has before they have ceilings, too.
const manyKeys = 40

func setCeiling(t *testing.T, db *store.DB, level int32) {
	lowerCeiling(t, db, storetest.Key(1, tezos.Block), level)
}

func lowerCeiling(t *testing.T, db *store.DB, key hwm.Key, level int32) {
	require.NoError(t, db.SetCeiling(
		hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}, hwm.Ceiling{Level: level, At: at, Source: hwm.SourceSet}))
}

func activate(t *testing.T, db *store.DB, level int32) {
	role := hwm.RoleRecord{Role: hwm.Active, Epoch: db.Role().Epoch + 1, Owner: db.Instance(), Since: at, Why: "test"}
	require.NoError(t, db.SetRole(
		role, []hwm.Row{{Key: storetest.Key(1, tezos.Block), Mark: hwm.Floor(level, at, hwm.SourceSet)}}))
}

func verdict(t *testing.T, dir string, file []byte, old, now contents, what string) string {
	t.Helper()
	got, err := reopened(t, dir, file)
	switch {
	case err != nil:
		requireDistrust(t, err, hwm.ErrCorrupt)
		return "refused"
	case equal(got, old):
		return "old"
	case equal(got, now):
		return "new"
	}
	require.Equal(t, now, got, what)
	return ""
}

func equal(a, b contents) bool { return reflect.DeepEqual(a, b) }

// Every page zeroed, half of it lost, or replaced by what another page holds: the same state, or a refusal.
func TestDamagedPages(t *testing.T) {
	_, file, _, now := history(t, 64, advanceOne)
	page := os.Getpagesize()
	dir := t.TempDir()
	refused := 0
	for at := 0; at < len(file); at += page {
		for name, damage := range map[string]func(b []byte){
			"zeroed":     func(b []byte) { clear(b) },
			"ones":       func(b []byte) { copy(b, bytes.Repeat([]byte{0xff}, len(b))) },
			"half":       func(b []byte) { clear(b[len(b)/2:]) },
			"first half": func(b []byte) { clear(b[:len(b)/2]) },
			"other page": func(b []byte) { copy(b, file[(at+5*page)%len(file):][:page]) },
		} {
			bad := slices.Clone(file)
			damage(bad[at : at+page])
			got, err := reopened(t, dir, bad)
			if err != nil {
				refused++
				continue
			}
			require.True(t, equal(now, got), "page %d %s changed what is signed", at/page, name)
		}
	}
	require.Positive(t, refused)
}

// Flipped bits, anywhere: the same state, or a refusal, and no crash.
func TestFlippedBits(t *testing.T) {
	_, file, _, now := history(t, 8, advanceOne)
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(3, 4))
	for range 400 {
		bad := slices.Clone(file)
		for range 1 + random.IntN(3) {
			bad[random.IntN(len(bad))] ^= 1 << random.IntN(8)
		}
		if got, err := reopened(t, dir, bad); err == nil {
			require.True(t, equal(now, got))
		}
	}
}

// What one file cannot know: a whole copy of yesterday's is as good as any. The daemon says when its marks are from,
// the device's own mark is compared at each connection, and docs tell to raise all marks after a restore.
func TestYesterdaysCopyIsAccepted(t *testing.T) {
	yesterday, _, old, _ := history(t, 8, advanceOne)
	got, err := reopened(t, t.TempDir(), yesterday)
	require.NoError(t, err)
	require.Equal(t, old, got)
}

// edit changes a closed file behind the store's back, with a transaction of bbolt.
func edit(t *testing.T, dir string, f func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, store.FileName), 0o600,
		&bolt.Options{Timeout: time.Second, NoFreelistSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(f))
	require.NoError(t, db.Close())
}

// Records that are not as this version writes them. Everything else about these files is right.
func TestRefusedRecords(t *testing.T) {
	key := storetest.Key(1, tezos.Block)
	dbKey, err := key.MarshalBinary()
	require.NoError(t, err)
	otherVersion := func(tx *bolt.Tx, bucket, key string) error {
		b := tx.Bucket([]byte(bucket))
		return b.Put([]byte(key), store.Reseal([]byte(key), 2, b.Get([]byte(key))))
	}
	for _, c := range []struct {
		name  string
		cause error
		edit  func(tx *bolt.Tx) error
	}{
		{"unknown schema", hwm.ErrVersion, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put(
				[]byte("schema"), hwm.Seal([]byte("schema"), []byte("highwater marks, schema 3")))
		}},
		{
			"unknown version of the schema's record", hwm.ErrVersion,
			func(tx *bolt.Tx) error { return otherVersion(tx, "meta", "schema") },
		},
		{"unknown version of the role", hwm.ErrVersion, func(tx *bolt.Tx) error { return otherVersion(tx, "meta", "role") }},
		{
			"unknown version of a mark", hwm.ErrVersion,
			func(tx *bolt.Tx) error { return otherVersion(tx, "marks", string(dbKey)) },
		},
		{"no schema", hwm.ErrCorrupt, func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("schema")) }},
		{"no role", hwm.ErrCorrupt, func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("role")) }},
		{
			"no identity", hwm.ErrCorrupt,
			func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("instance")) },
		},
		{"no marks", hwm.ErrCorrupt, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("marks")) }},
		{"no ceilings", hwm.ErrCorrupt, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("ceilings")) }},
		{"no horizons", hwm.ErrCorrupt, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte("horizons")) }},
		{
			"no session", hwm.ErrCorrupt,
			func(tx *bolt.Tx) error { return tx.Bucket([]byte("meta")).Delete([]byte("session")) },
		},
		{"an impossible session", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("meta")).Put([]byte("session"), hwm.Seal([]byte("session"), make([]byte, 24)))
		}},
		{"an impossible horizon", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("horizons")).Put(dbKey[:25], hwm.Seal(dbKey[:25], []byte{0xff, 0, 0, 1}))
		}},
		{"a horizon that the last transaction did not write", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("horizons")).Put(dbKey[:25], hwm.Seal(dbKey[:25], []byte{0, 0, 0, 1}))
		}},
		{"wrong checksum", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("marks"))
			record := slices.Clone(b.Get(dbKey))
			record[9]-- // the level's last byte: a lower mark
			return b.Put(dbKey, record)
		}},
		{"a record under another key", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("marks"))
			other := slices.Clone(dbKey)
			other[len(other)-1] = byte(tezos.Attestation)
			return b.Put(other, b.Get(dbKey))
		}},
		{"a cut record", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte("marks"))
			return b.Put(dbKey, b.Get(dbKey)[:100])
		}},
		{"an unknown kind", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			other := append(slices.Clone(dbKey[:25]), 0x14)
			return tx.Bucket([]byte("marks")).Put(other, hwm.Floor(1, at, hwm.SourceSet).Encode(other))
		}},
		{"an impossible ceiling", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("ceilings")).Put(
				dbKey[:25], hwm.Ceiling{Level: -1, Source: hwm.SourceSet}.Encode(dbKey[:25]))
		}},
		{"a ceiling under a short key", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("ceilings")).Put([]byte("x"), hwm.Ceiling{Source: hwm.SourceSet}.Encode([]byte("x")))
		}},
		{"a key without a public key", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("keys")).Put([]byte("x"), hwm.Seal([]byte("x"), []byte(`{}`)))
		}},
		{"no JSON", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("journal")).Put([]byte("x"), hwm.Seal([]byte("x"), []byte(`{`)))
		}},
		{"a mark that is gone", hwm.ErrCorrupt, func(tx *bolt.Tx) error { return tx.Bucket([]byte("marks")).Delete(dbKey) }},
		{"an older record, as it was written then", hwm.ErrCorrupt, func(tx *bolt.Tx) error {
			return tx.Bucket([]byte("marks")).Put(dbKey, hwm.Floor(1, at, hwm.SourceSet).Encode(dbKey))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := newDir(t)
			db := openDir(t, dir)
			storetest.Floor(t, db, 10, key)
			require.NoError(t, db.Close())
			edit(t, dir, c.edit)
			_, err := tryOpen(dir)
			requireDistrust(t, err, c.cause)
			if errors.Is(c.cause, hwm.ErrVersion) {
				require.NotErrorIs(t, err, hwm.ErrCorrupt)
				require.Contains(t, requireHint(t, err), "newer")
			} else {
				require.Contains(t, requireHint(t, err), "hwm set --all")
			}
		})
	}
}

// In place of a record there is the one that was there before it, whole and valid, and nothing else is changed: only
// the seal tells.
func TestOlderRecordInPlace(t *testing.T) {
	key := storetest.Key(1, tezos.Block)
	dbKey, err := key.MarshalBinary()
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		change func(db *store.DB, level int32)
		record func(db *store.DB) []byte
	}{
		{
			"mark",
			func(db *store.DB, level int32) { storetest.Floor(t, db, level, key) },
			func(db *store.DB) []byte {
				rows, err := db.Rows()
				require.NoError(t, err)
				return rows[0].Encode(dbKey)
			},
		},
		{
			"ceiling",
			func(db *store.DB, level int32) { setCeiling(t, db, 100-level) },
			func(db *store.DB) []byte {
				at := hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}
				ceilingKey, err := at.MarshalBinary()
				require.NoError(t, err)
				return db.Ceilings()[at].Encode(ceilingKey)
			},
		},
		{
			"role",
			func(db *store.DB, level int32) { activate(t, db, level) },
			func(db *store.DB) []byte { return db.Role().Encode([]byte("role")) },
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := newDir(t)
			db := openDir(t, dir)
			c.change(db, 10)
			older := c.record(db)
			c.change(db, 11)
			newer := c.record(db)
			require.NoError(t, db.Close())
			path := filepath.Join(dir, store.FileName)
			file, err := os.ReadFile(path)
			require.NoError(t, err)
			require.True(t, bytes.Contains(file, newer))
			require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(file, newer, older), 0o600))
			_, err = tryOpen(dir)
			requireDistrust(t, err, hwm.ErrCorrupt)
			require.ErrorContains(t, err, "a part of the last transaction is missing")
		})
	}
}

// A horizon as it was before is no floor any more: only the seal tells.
func TestOlderHorizonInPlace(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir, store.Options{Ahead: 1})
	key := storetest.Key(1, tezos.Block)
	storetest.Floor(t, db, 10, key)
	require.NoError(t, storetest.Advance(db, key, storetest.Mark(20, 0, 1)))
	at := hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}
	dbKey, err := at.MarshalBinary()
	require.NoError(t, err)
	newer, older := hwm.Seal(dbKey, []byte{0, 0, 0, 21}), hwm.Seal(dbKey, []byte{0, 0, 0, 20})
	path := filepath.Join(dir, store.FileName)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, db.Abandon())
	require.True(t, bytes.Contains(file, newer))
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(file, newer, older), 0o600))
	_, err = tryOpen(dir)
	requireDistrust(t, err, hwm.ErrCorrupt)
	require.ErrorContains(t, err, "a part of the last transaction is missing")
}

// The header in a machine's own byte order: a file from a machine of the other order is refused, not misread.
func TestForeignByteOrder(t *testing.T) {
	dir := newDir(t)
	path := filepath.Join(dir, store.FileName)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	swapped := slices.Clone(file)
	for _, page := range []int{0, os.Getpagesize()} {
		at := page + 16
		binary.BigEndian.PutUint32(swapped[at:], binary.LittleEndian.Uint32(file[at:]))
	}
	_, err = reopened(t, t.TempDir(), swapped)
	requireDistrust(t, err, hwm.ErrCorrupt)
}

// FuzzOpen opens a file with other bytes at one place. Whatever it is: a refusal, or the same contents; bbolt never
// panics over it, which in its own goroutines would end the process.
func FuzzOpen(f *testing.F) {
	dir := filepath.Join(f.TempDir(), "state")
	require.NoError(f, store.Create(f.Context(), dir, at))
	db := openDir(f, dir)
	for n := range 40 {
		storetest.Floor(f, db, 7, storetest.Key(n, tezos.Block))
	}
	want, err := db.Rows()
	require.NoError(f, err)
	require.NoError(f, db.Close())
	good, err := os.ReadFile(filepath.Join(dir, store.FileName))
	require.NoError(f, err)
	page := uint32(os.Getpagesize())
	for p := uint32(0); p < 12; p++ {
		f.Add(p*page, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x03})
		f.Add(p*page+8, []byte{1, 0, 1, 0})
		f.Add(p*page+24, []byte{0xff, 0xff, 0xff, 0xff})
		f.Add(p*page+12, []byte{1})
	}
	f.Fuzz(func(t *testing.T, at uint32, b []byte) {
		file := slices.Clone(good)
		copy(file[int(at)%len(file):], b)
		if got, err := reopened(t, dir, file); err == nil {
			require.Equal(t, want, got.Rows)
		}
	})
}
