package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"
	"go.uber.org/goleak"

	"highwater/signer"
	"highwater/store"
	"highwater/store/storetest"
)

var _ signer.Store = (*store.DB)(nil)

var at = time.UnixMilli(1_700_000_000_123).UTC()

// TestMain lets the test binary stand for another process: see child_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv(childRole); role != "" {
		os.Exit(child(role))
	}
	goleak.VerifyTestMain(m)
}

// newDir makes a state directory with an empty file, whose consistency is checked when the test ends.
func newDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, store.Create(t.Context(), dir, at))
	t.Cleanup(func() { checkFile(t, dir) })
	return dir
}

// openDir opens a state directory until the test ends, or the caller closes it.
func openDir(t testing.TB, dir string, opt ...store.Options) *store.DB {
	t.Helper()
	opt = append(opt, store.Options{})
	db, err := store.Open(t.Context(), dir, opt[0])
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := db.Close(); !errors.Is(err, store.ErrClosed) {
			require.NoError(t, err)
		}
	})
	return db
}

// checkFile runs bbolt's own check over the file: no test leaves a broken one unnoticed.
func checkFile(t testing.TB, dir string) {
	t.Helper()
	db, err := bolt.Open(filepath.Join(dir, store.FileName), 0o600,
		&bolt.Options{Timeout: 5 * time.Second, ReadOnly: true})
	require.NoError(t, err)
	require.NoError(t, db.View(func(tx *bolt.Tx) error {
		var all error
		for err := range tx.Check() {
			all = errors.Join(all, err)
		}
		return all
	}))
	require.NoError(t, db.Close())
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (signer.Store, func() signer.Store) {
		dir := newDir(t)
		db := openDir(t, dir)
		return db, func() signer.Store {
			require.NoError(t, db.Close())
			db = openDir(t, dir)
			return db
		}
	})
}

func tryOpen(dir string) (*store.DB, error) {
	return store.Open(context.Background(), dir, store.Options{})
}
