package store_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/disk"
	"highwater/store/storetest"
)

// A file that somebody else writes over, takes away or puts another one in the place of, under a running process: a
// mark that is then committed is one that the next start does not find. So it is no commit.
func TestReplacedWhileInUse(t *testing.T) {
	for name, replace := range map[string]func(path string, older []byte) error{
		"overwritten": func(path string, older []byte) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			if _, err = f.Write(older); err != nil {
				return err
			}
			return f.Close()
		},
		"overwritten as cp does": func(path string, older []byte) error { return os.WriteFile(path, older, 0o600) },
		"overwritten, half of it": func(path string, older []byte) error {
			return os.WriteFile(path, older[:len(older)/2], 0o600)
		},
		"zeroed": func(path string, older []byte) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			if _, err = f.Write(make([]byte, len(older))); err != nil {
				return err
			}
			return f.Close()
		},
		"emptied": func(path string, _ []byte) error { return os.Truncate(path, 0) },
		"replaced": func(path string, older []byte) error {
			if err := os.WriteFile(path+".older", older, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".older", path)
		},
		"removed":           func(path string, _ []byte) error { return os.Remove(path) },
		"moved away":        func(path string, _ []byte) error { return os.Rename(path, path+".away") },
		"directory removed": func(path string, _ []byte) error { return os.RemoveAll(filepath.Dir(path)) },
		"directory made anew": func(path string, older []byte) error {
			dir := filepath.Dir(path)
			if err := os.Rename(dir, dir+".away"); err != nil {
				return err
			}
			if err := os.Mkdir(dir, 0o700); err != nil {
				return err
			}
			return os.WriteFile(path, older, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state")
			require.NoError(t, store.Create(t.Context(), dir, at))
			db := openDir(t, dir)
			key, other := storetest.Key(1, tezos.Block), storetest.Key(1, tezos.Attestation)
			storetest.Floor(t, db, 10, key, other)
			older, err := os.ReadFile(db.Path())
			require.NoError(t, err)
			// This is what the older file would take back.
			require.NoError(t, storetest.Advance(db, other, storetest.Mark(20, 0, 1)))

			require.NoError(t, replace(db.Path(), older))
			err = storetest.Advance(db, key, storetest.Mark(11, 0, 1))
			require.ErrorIs(t, err, store.ErrPoisoned)
			require.ErrorIs(t, err, disk.ErrReplaced)
			var disk *disk.Error
			require.ErrorAs(t, err, &disk)
			require.Contains(t, disk.HintText(), "highwater hwm set")
			require.NoError(t, refusesAll(db, key))
			require.NoError(t, db.Close())
		})
	}
}

// What happens to the file while a transaction is on its way is seen before the transaction counts as durable.
func TestReplacedDuringACommit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, store.Create(t.Context(), dir, at))
	db := openDir(t, dir)
	err := db.During(func() error { return os.Rename(db.Path(), db.Path()+".away") })
	require.ErrorIs(t, err, store.ErrPoisoned)
	require.ErrorIs(t, err, disk.ErrReplaced)
	require.NoError(t, refusesAll(db, storetest.Key(1, tezos.Block)))
}

// What waits behind a commit that failed fails with it, though its own would have gone well: nobody knows what the
// first one left.
func TestNothingIsBuiltUponAFailedCommit(t *testing.T) {
	dir := newDir(t)
	path := filepath.Join(dir, store.FileName)
	var back func() error
	db := openDir(t, dir, store.Options{OnCommit: func(time.Duration) {
		if back != nil {
			if err := back(); err != nil {
				t.Error(err)
			}
			back = nil
		}
	}})
	key := storetest.Key(1, tezos.Block)
	storetest.Floor(t, db, 0, key)
	var behind hwm.Pending
	err := db.During(func() (err error) {
		back = func() error { return os.Rename(path+".away", path) } // after the commit, before anybody is told
		if err = os.Rename(path, path+".away"); err != nil {
			return err
		}
		behind, err = db.Advance(key, storetest.Mark(1, 0, 1))
		return err
	})
	require.ErrorIs(t, err, disk.ErrReplaced)
	require.ErrorIs(t, behind.Wait(), store.ErrPoisoned)
	require.NoError(t, refusesAll(db, key))
}
