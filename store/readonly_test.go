package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/storetest"
)

// TestReadOnlyFromTheStart: who only reads is shown what is on the disk, and nothing is signed by it; everybody else is
// refused. The lock holds, and a file system that can be written again is as it was.
func TestReadOnlyFromTheStart(t *testing.T) {
	dir := newDir(t)
	key := storetest.Key(1, tezos.Block)
	peer := &hwm.Peer{Address: "127.0.0.1:1", Key: hwm.InstanceID{7}}
	db := openDir(t, dir)
	storetest.Floor(t, db, 10, key)
	require.NoError(t, db.SetPeer(peer))
	rows := db.Known()
	require.NoError(t, db.Close())
	file, err := os.ReadFile(db.Path())
	require.NoError(t, err)

	mend := store.OnAReadOnlyFileSystem()
	defer mend()
	_, err = store.Open(t.Context(), dir, store.Options{})
	require.ErrorIs(t, err, unix.EROFS)
	require.True(t, store.Fails(err))
	db, err = store.Open(t.Context(), dir, store.Options{Reading: true, Ahead: 1, RuntimeDir: t.TempDir()})
	require.NoError(t, err)
	_, err = store.Open(t.Context(), dir, store.Options{Reading: true})
	require.ErrorIs(t, err, store.ErrInUse)
	require.ErrorIs(t, db.Healthy(), store.ErrPoisoned)
	<-db.Failed()
	require.Equal(t, rows, db.Known())
	known, ok := db.Peer()
	require.True(t, ok)
	require.Equal(t, peer.Key, known.Key)
	for _, err := range []error{
		db.Healthy(), db.Probe(), db.SetPeer(nil), db.SetRole(db.Role(), nil),
		storetest.Advance(db, key, storetest.Mark(11, 0, 1)),
	} {
		require.ErrorIs(t, err, store.ErrPoisoned)
		require.ErrorContains(t, err, "the state directory cannot be written")
		require.True(t, store.Fails(err))
	}
	_, err = db.State(key)
	require.ErrorIs(t, err, store.ErrPoisoned)
	require.NoError(t, db.Close())
	now, err := os.ReadFile(db.Path())
	require.NoError(t, err)
	require.Equal(t, file, now, "not a byte was written")

	mend()
	db = openDir(t, dir)
	require.Equal(t, rows, db.Known())
	require.NoError(t, storetest.Advance(db, key, storetest.Mark(11, 0, 1)))
}

// TestReadOnlyWithoutALock: without the lock file of an earlier process nothing keeps a second one away.
func TestReadOnlyWithoutALock(t *testing.T) {
	dir := newDir(t)
	require.NoError(t, os.Remove(filepath.Join(dir, "lock")))
	defer store.OnAReadOnlyFileSystem()()
	_, err := store.Open(t.Context(), dir, store.Options{Reading: true})
	require.ErrorIs(t, err, unix.EROFS)
}
