package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/disk"
	"highwater/store/storetest"
)

// TestProbe: a commit that changes nothing fails on a disk that takes nothing, and is found by the next start on one
// that works.
func TestProbe(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	storetest.Floor(t, db, 10, storetest.Key(1, tezos.Block))
	before := contentsOf(t, db)
	require.NoError(t, db.Probe())
	select {
	case <-db.Failed():
		require.Fail(t, "nothing failed")
	default:
	}
	require.NoError(t, db.Close())
	db = openDir(t, dir)
	require.Equal(t, before, contentsOf(t, db))
	storetest.Break(t, db.Path(), storetest.NoSpace)
	require.True(t, store.Fails(db.Probe()))
}

// TestFails: a restart helps against a disk, and not against a file that was replaced or rights that are missing.
func TestFails(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	require.NoError(t, os.Rename(db.Path(), db.Path()+".moved"))
	err := db.Probe()
	require.ErrorIs(t, err, disk.ErrReplaced)
	require.NoError(t, os.Rename(db.Path()+".moved", db.Path()))
	require.False(t, store.Fails(err))
	require.False(t, store.Fails(&disk.Error{Err: os.ErrPermission}))
	require.False(t, store.Fails(store.ErrMissing))
}

func TestWritable(t *testing.T) {
	dir := newDir(t)
	files := func() []os.DirEntry { f, err := os.ReadDir(dir); require.NoError(t, err); return f }
	before := files()
	require.NoError(t, store.Writable(dir))
	require.Len(t, files(), len(before), "the trial leaves nothing behind")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "disk-trial"), 0o700))
	require.Error(t, store.Writable(dir))
}
