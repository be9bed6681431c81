package store_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/bootmarks"
	"highwater/store/storetest"
)

// killed makes a state directory whose process was killed under a horizon at 13: the block's mark is at 12 in memory,
// with its signature, and at 11 or 12 on the disk.
func killed(t *testing.T, opt store.Options) (dir, runtime string) {
	t.Helper()
	dir = newDir(t)
	db := openDir(t, dir, opt)
	keys := levels(tezos.Block, tezos.Attestation)
	storetest.Floor(t, db, 10, keys...)
	require.NoError(t, advanceTo(t, db, keys[0], 11).Wait())
	require.NoError(t, advanceTo(t, db, keys[0], 12).Wait())
	db.Keep(keys[0], storetest.Mark(12, 0, 12).Digest, storetest.Signature(t, keys[0].PKH.Curve, 7))
	ck := hwm.CeilingKey{Chain: keys[0].Chain, PKH: keys[0].PKH}
	require.Eventually(t, func() bool { return db.Horizons()[ck] == 13 }, 10*time.Second, time.Millisecond)
	require.NoError(t, db.Abandon())
	return dir, db.RuntimeFile()
}

// A killed process costs nothing: the next one knows its marks exactly, signature included, and signs the very next
// level.
func TestAKillCostsNothing(t *testing.T) {
	opt := store.Options{Ahead: 1, RuntimeDir: tmpfs(t)}
	dir, _ := killed(t, opt)
	block, attestation := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
	for range 2 { // a look at it changes nothing
		db := openDir(t, dir, opt)
		require.Equal(t, store.Ending{How: store.EndedKilled, Floors: map[hwm.CeilingKey]int32{}}, db.Ended())
		want := storetest.Mark(12, 0, 12)
		want.Signature = storetest.Signature(t, block.PKH.Curve, 7)
		require.Equal(t, want, *markAt(t, db, block))
		require.Equal(t, int32(10), markAt(t, db, attestation).Level)
		require.NoError(t, db.Close())
	}
	db := openDir(t, dir, opt)
	_, err := db.Advance(block, storetest.Mark(12, 0, 99))
	require.ErrorIs(t, err, hwm.ErrMoved)
	require.NoError(t, advanceTo(t, db, attestation, 11).Wait())
	require.NoError(t, db.Abandon())
	db = openDir(t, dir, opt)
	require.Equal(t, storetest.Mark(11, 0, 11), *markAt(t, db, attestation))
	require.Equal(t, int32(12), markAt(t, db, block).Level)
}

// A kill after a run's first commit, before there is a runtime file, costs nothing either: no horizon is on disk yet.
func TestAKillAtTheBeginning(t *testing.T) {
	opt := store.Options{Ahead: 1, RuntimeDir: tmpfs(t)}
	dir := newDir(t)
	db := openDir(t, dir, opt)
	key, other := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
	storetest.Floor(t, db, 10, key, other)
	require.NoError(t, db.Close())
	var first []byte
	opt.OnCommit = func(time.Duration) { // after the commit, before the runtime file
		if first == nil {
			first, _ = os.ReadFile(filepath.Join(dir, store.FileName))
		}
	}
	db = openDir(t, dir, opt)
	require.NoError(t, advanceTo(t, db, key, 11).Wait())
	ck := hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}
	require.Eventually(t, func() bool { return db.Horizons()[ck] == 12 }, 10*time.Second, time.Millisecond,
		"the horizon did not follow")
	require.NoError(t, db.Abandon())
	require.NoError(t, os.Remove(db.RuntimeFile()))
	require.NoError(t, os.WriteFile(filepath.Join(dir, store.FileName), first, 0o600))
	db = openDir(t, dir, opt)
	require.Empty(t, db.Ended().Floors)
	require.Equal(t, int32(11), markAt(t, db, key).Level)
	require.Equal(t, int32(10), markAt(t, db, other).Level)
}

// A runtime file that is not the one that this run of this boot wrote last is not believed, whatever is in it: the
// horizon is the floor.
func TestARuntimeFileThatIsNotBelieved(t *testing.T) {
	shm := tmpfs(t)
	rewrite := func(change func(all []byte) []byte) func(t *testing.T, dir, path string) {
		return func(t *testing.T, _, path string) {
			all, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, change(all), 0o600))
		}
	}
	forge := func(change func(record []byte)) func(t *testing.T, dir, path string) {
		return func(t *testing.T, _, path string) { require.NoError(t, forgeRecords(path, change)) }
	}
	for name, c := range map[string]struct {
		harm func(t *testing.T, dir, path string)
		why  string
	}{
		"missing": {func(t *testing.T, _, path string) { require.NoError(t, os.Remove(path)) }, "no such file"},
		"empty":   {rewrite(func([]byte) []byte { return nil }), "changed after"},
		"put back as it was": {func(t *testing.T, _, path string) {
			all, err := os.ReadFile(path)
			require.NoError(t, err)
			time.Sleep(60 * time.Millisecond) //nolint:forbidigo // the kernel's clock must move on
			require.NoError(t, os.WriteFile(path, all, 0o600))
		}, "changed after"},
		"another file": {func(t *testing.T, _, path string) {
			all, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".copy", all, 0o600))
			require.NoError(t, os.Rename(path+".copy", path))
		}, "a different run, or a copy"},
		"of another session": {forge(func(b []byte) { b[sessionAt] ^= 1 }), "a different run, or a copy"},
		"of another boot":    {forge(func(b []byte) { b[bootAt] ^= 1 }), "a different run, or a copy"},
		"of another file":    {forge(func(b []byte) { b[inodeAt] ^= 1 }), "a different run, or a copy"},
		"of a later version": {forge(func(b []byte) { b[0]++ }), "a different run, or a copy"},
		"torn": {func(t *testing.T, _, path string) {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			for at := int64(0); at < 2*recordSize; at += recordSize {
				_, err = f.WriteAt([]byte{1, 2, 3}, at+100)
				require.NoError(t, err)
			}
			require.NoError(t, f.Close())
		}, ""},
		"cut": {rewrite(func(all []byte) []byte { return all[:len(all)-1] }), "no number of records"},
		"a symbolic link": {func(t *testing.T, _, path string) {
			require.NoError(t, os.Rename(path, path+".away"))
			require.NoError(t, os.Symlink(path+".away", path))
		}, "too many levels"},
		"under two names": {
			func(t *testing.T, _, path string) { require.NoError(t, os.Link(path, path+".too")) },
			"own",
		},
		"writable for others":   {func(t *testing.T, _, path string) { require.NoError(t, os.Chmod(path, 0o666)) }, "own"},
		"a pipe":                {func(t *testing.T, _, path string) { pipe(t, path) }, "own"},
		"one record is missing": {rewrite(func(all []byte) []byte { return all[:recordSize] }), ""},
		"a run of another boot": {func(t *testing.T, dir, _ string) { editRaw(t, dir, store.OtherBoot) }, "restarted"},
		"a run of another boot, and its file": {func(t *testing.T, dir, path string) {
			editRaw(t, dir, store.OtherBoot)
			require.NoError(t, forgeRecords(path, func(b []byte) { b[bootAt] ^= 0xff }))
		}, "restarted"},
	} {
		t.Run(name, func(t *testing.T) {
			opt := store.Options{Ahead: 1, RuntimeDir: shm}
			dir, path := killed(t, opt)
			c.harm(t, dir, path)
			db := openDir(t, dir, opt)
			require.Equal(t, store.EndedCut, db.Ended().How)
			require.Contains(t, db.Ended().Why, c.why)
			for _, kind := range []tezos.Kind{tezos.Block, tezos.Attestation} {
				require.Equal(t, hwm.Position{Level: 13, Round: hwm.MaxRound}, markAt(t, db, storetest.Key(1, kind)).Position)
			}
			require.NoError(t, advanceTo(t, db, storetest.Key(1, tezos.Block), 14).Wait())
		})
	}
}

func pipe(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.Remove(path))
	require.NoError(t, unix.Mkfifo(path, 0o600))
}

// editRaw changes a file in a transaction, which is to seal it.
func editRaw(t *testing.T, dir string, change func(tx *bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, store.FileName), 0o600,
		&bolt.Options{Timeout: time.Second, NoFreelistSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(change))
	require.NoError(t, db.Close())
}

// A record below the disk's mark is never believed, though everything else about it is right.
func TestARecordBelowTheDisk(t *testing.T) {
	opt := store.Options{Ahead: 1, RuntimeDir: tmpfs(t)}
	dir, path := killed(t, opt)
	require.NoError(t, forgeRecords(path, func(b []byte) {
		const keyAt, markAt, end = 49, 75, 75 + 152
		if b[keyAt+25] == byte(tezos.Block) {
			copy(b[markAt:end], hwm.Floor(5, at, hwm.SourceSet).Encode(slices.Clone(b[keyAt:markAt])))
		}
	}))
	db := openDir(t, dir, opt)
	require.Equal(t, int32(13), markAt(t, db, storetest.Key(1, tezos.Block)).Level)
	require.Equal(t, int32(13), markAt(t, db, storetest.Key(1, tezos.Attestation)).Level,
		"one record of a key is as good as the next")
}

// On a disk an older state of the file can outlive a power cut: there is none.
func TestNoRuntimeFileOnADisk(t *testing.T) {
	onDisk, err := os.MkdirTemp(".", "runtime-") // the source tree lies on a disk
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(onDisk)) })
	require.ErrorContains(t, bootmarks.Check(onDisk), "tmpfs")
	dir, path := killed(t, store.Options{Ahead: 1, RuntimeDir: onDisk})
	require.NoFileExists(t, path)
	db := openDir(t, dir, store.Options{Ahead: 1, RuntimeDir: onDisk})
	require.Equal(t, store.EndedCut, db.Ended().How)
	require.Equal(t, int32(13), markAt(t, db, storetest.Key(1, tezos.Block)).Level)
}

// Two state directories share a runtime directory, a copy of one of them among them: each finds its own.
func TestASharedRuntimeDirectory(t *testing.T) {
	opt := store.Options{Ahead: 1, RuntimeDir: tmpfs(t)}
	dir, one := killed(t, opt)
	_, two := killed(t, opt)
	require.NotEqual(t, one, two)
	file, err := os.ReadFile(filepath.Join(dir, store.FileName))
	require.NoError(t, err)
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, store.FileName), file, 0o600))
	clone := openDir(t, elsewhere, opt)
	require.Equal(t, int32(13), markAt(t, clone, storetest.Key(1, tezos.Block)).Level,
		"a copy was taken for the run that was killed")
	require.NoError(t, advanceTo(t, clone, storetest.Key(1, tezos.Block), 14).Wait())
	db := openDir(t, dir, opt)
	require.Equal(t, store.EndedKilled, db.Ended().How, db.Ended().Why)
	require.Equal(t, int32(12), markAt(t, db, storetest.Key(1, tezos.Block)).Level)
	require.NotEqual(t, clone.RuntimeFile(), db.RuntimeFile())
}

// While no record can be written, signatures wait for the disk, and what is in the file is below it: it is not
// believed.
func TestARecordThatCannotBeWritten(t *testing.T) {
	opt := store.Options{Ahead: 1, RuntimeDir: tmpfs(t)}
	dir := newDir(t)
	disk := newSlowDisk(t)
	opt.OnCommit = disk.onCommit
	db := openDir(t, dir, opt)
	key := storetest.Key(1, tezos.Block)
	storetest.Floor(t, db, 10, key)
	require.NoError(t, advanceTo(t, db, key, 11).Wait())
	_, err := db.Raise(nil)
	require.NoError(t, err)
	storetest.Break(t, db.RuntimeFile(), "/dev/full")
	disk.held.Store(true)
	p := advanceTo(t, db, key, 12)
	<-disk.arrived
	require.False(t, returns(t, p), "neither on disk nor in the runtime file")
	disk.held.Store(false)
	disk.release <- struct{}{}
	require.NoError(t, p.Wait())
	require.NoError(t, db.Abandon())
	db = openDir(t, dir, opt)
	require.Equal(t, hwm.Position{Level: 13, Round: hwm.MaxRound}, markAt(t, db, key).Position)
}

// A file of the schema before opens with all that is in it, is left as it is by who only looks, and is of today's after
// the first commit.
func TestUpgrade(t *testing.T) {
	packed, err := os.Open(filepath.Join("testdata", "schema1.db.gz"))
	require.NoError(t, err)
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	require.NoError(t, err)
	old, err := io.ReadAll(unpacked)
	require.NoError(t, err)
	require.Contains(t, string(old), "highwater marks, schema 1")
	dir := t.TempDir()
	path := filepath.Join(dir, store.FileName)
	require.NoError(t, os.WriteFile(path, old, 0o600))
	opt := store.Options{Ahead: 1, RuntimeDir: tmpfs(t)}
	db := openDir(t, dir, opt)
	require.Equal(t, store.EndedNew, db.Ended().How)
	before := contentsOf(t, db)
	require.Len(t, before.Rows, 11)
	require.Equal(t, hwm.Active, before.Role.Role)
	require.Len(t, before.Ceilings, 1)
	require.Len(t, db.Alarms(), 1)
	require.NoError(t, db.Close())
	same, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(old, same), "a look changed the file")

	db = openDir(t, dir, opt)
	key := storetest.Key(0, tezos.Block)
	require.NoError(t, advanceTo(t, db, key, 30).Wait())
	require.NoError(t, advanceTo(t, db, key, 31).Wait())
	require.NoError(t, db.Abandon())
	db = openDir(t, dir, opt)
	require.Equal(t, store.EndedKilled, db.Ended().How, db.Ended().Why)
	for _, r := range before.Rows {
		if r.Key != key {
			require.Equal(t, r.Mark, *markAt(t, db, r.Key))
		}
	}
	require.Equal(t, storetest.Mark(31, 0, 31), *markAt(t, db, key))
	editRaw(t, copyOf(t, dir), func(tx *bolt.Tx) error {
		require.Contains(t, string(tx.Bucket([]byte("meta")).Get([]byte("schema"))), "schema 2")
		return nil
	})
}

// copyOf is a directory with the same watermark file.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	file, err := os.ReadFile(filepath.Join(dir, store.FileName))
	require.NoError(t, err)
	other := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(other, store.FileName), file, 0o600))
	return other
}

// Whatever happens in whatever order: what was answered is never answered again with other bytes, nor below. A kill
// loses nothing, and a power cut no more than the levels ahead.
func TestHistories(t *testing.T) {
	shm := tmpfs(t)
	rapid.Check(t, func(rt *rapid.T) {
		h := newHistories(t, rt, shm)
		defer func() { require.NoError(rt, h.db.Close()) }()
		rt.Repeat(map[string]func(*rapid.T){
			"advance": h.advance, "advance more": h.advance, "advance most": h.advance, "raise": h.raise, "role": h.role,
			"flush": h.flush,
			"kill":  h.kill, "cut": h.cut, "stop": h.stop,
		})
	})
}

// mostAhead is the most that a run of a history keeps ahead. A run that writes nothing leaves the horizon of one
// before.
const mostAhead = 2

// histories is a store that a random history happens to, with the judge's book of it.
type histories struct {
	t       *testing.T
	dir     string
	opt     store.Options
	db      *store.DB
	image   chan []byte // of the file after the last commit
	keys    []hwm.Key
	out     map[hwm.Key]hwm.Position // the highest that was answered
	highest map[tezos.PublicKeyHash]int32
}

func newHistories(t *testing.T, rt *rapid.T, shm string) *histories {
	dir, err := os.MkdirTemp("", "histories-")
	require.NoError(rt, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(rt, store.Create(t.Context(), filepath.Join(dir, "state"), at))
	h := &histories{
		t: t, dir: filepath.Join(dir, "state"), image: make(chan []byte, 1), out: map[hwm.Key]hwm.Position{},
		highest: map[tezos.PublicKeyHash]int32{},
	}
	h.opt = store.Options{RuntimeDir: shm, OnCommit: func(time.Duration) {
		file, err := os.ReadFile(filepath.Join(h.dir, store.FileName))
		if err != nil {
			t.Error(err)
		}
		select {
		case <-h.image:
		default:
		}
		h.image <- file
	}}
	h.open(rt)
	for n := range 2 {
		h.keys = append(h.keys, hwm.KeysOf(storetest.Chain, storetest.Key(n, tezos.Block).PKH)...)
	}
	storetest.Floor(rt, h.db, 10, h.keys...)
	return h
}

// open begins the next run on the file as it is.
func (h *histories) open(rt *rapid.T) {
	select {
	case <-h.image: // of the run before
	default:
	}
	h.opt.Ahead = rapid.Int32Range(0, mostAhead).Draw(rt, "ahead")
	var err error
	h.db, err = store.Open(h.t.Context(), h.dir, h.opt)
	require.NoError(rt, err)
	for _, key := range h.keys {
		mark := h.mark(rt, key)
		require.LessOrEqual(rt, h.out[key].Compare(mark.Position), 0, "%s was answered at %s, and the mark is at %s", key,
			h.out[key], mark.Position)
	}
}

func (h *histories) mark(rt *rapid.T, key hwm.Key) hwm.Mark {
	st, err := h.db.State(key)
	require.NoError(rt, err)
	require.NotNil(rt, st.Mark)
	return *st.Mark
}

func (h *histories) advance(rt *rapid.T) {
	key := rapid.SampledFrom(h.keys).Draw(rt, "key")
	have := h.mark(rt, key)
	level := max(have.Level, 9) + rapid.Int32Range(0, 2).Draw(rt, "levels")
	mark := storetest.Mark(level, rapid.Int32Range(0, 3).Draw(rt, "round"), rapid.Byte().Draw(rt, "fill"))
	p, err := h.db.Advance(key, mark)
	if !mark.Above(have) {
		require.ErrorIs(rt, err, hwm.ErrMoved)
		return
	}
	require.NoError(rt, err)
	require.NoError(rt, p.Wait())
	require.Positive(rt, mark.Compare(h.out[key]), "answered twice")
	h.out[key] = mark.Position
	h.highest[key.PKH] = max(h.highest[key.PKH], level)
	if rapid.Bool().Draw(rt, "keep") {
		h.db.Keep(key, mark.Digest, storetest.Signature(fatal{}, key.PKH.Curve, 3))
	}
}

func (h *histories) raise(rt *rapid.T) {
	key := rapid.SampledFrom(h.keys).Draw(rt, "key")
	level := h.mark(rt, key).Level + rapid.Int32Range(-1, 2).Draw(rt, "levels")
	storetest.Floor(rt, h.db, level, key)
	h.highest[key.PKH] = max(h.highest[key.PKH], level)
}

func (h *histories) role(rt *rapid.T) {
	r := h.db.Role()
	r.Role, r.Epoch = hwm.Active, r.Epoch+1
	require.NoError(rt, h.db.SetRole(r, nil))
}

func (h *histories) flush(rt *rapid.T) {
	_, err := h.db.Raise(nil)
	require.NoError(rt, err)
}

func (h *histories) positions(rt *rapid.T) map[hwm.Key]hwm.Position {
	out := map[hwm.Key]hwm.Position{}
	for _, key := range h.keys {
		out[key] = h.mark(rt, key).Position
	}
	return out
}

func (h *histories) kill(rt *rapid.T) {
	before := h.positions(rt)
	require.NoError(rt, h.db.Abandon())
	h.open(rt)
	require.Equal(rt, before, h.positions(rt), "a kill lost a place: %+v", h.db.Ended())
}

func (h *histories) cut(rt *rapid.T) {
	var file []byte
	select {
	case file = <-h.image:
	default:
	}
	runtime := h.db.RuntimeFile()
	require.NoError(rt, h.db.Abandon())
	if file != nil {
		require.NoError(rt, os.WriteFile(filepath.Join(h.dir, store.FileName), file, 0o600))
	}
	if err := os.Remove(runtime); !os.IsNotExist(err) {
		require.NoError(rt, err)
	}
	h.open(rt)
	for key, p := range h.positions(rt) {
		require.LessOrEqual(rt, p.Level, max(h.highest[key.PKH], 10)+mostAhead,
			"a power cut costs more than the levels ahead")
		h.highest[key.PKH] = max(h.highest[key.PKH], p.Level)
	}
}

func (h *histories) stop(rt *rapid.T) {
	before, floors := h.positions(rt), h.db.Ended().Floors
	require.NoError(rt, h.db.Close())
	h.open(rt)
	require.Equal(rt, before, h.positions(rt), "an end in order lost a place")
	if len(h.db.Ended().Floors) > 0 {
		require.Equal(rt, floors, h.db.Ended().Floors, "a run that wrote nothing leaves what it found")
	}
}
