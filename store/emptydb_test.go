package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"highwater/hwm"
	"highwater/store"
)

// TestEmptyDatabaseIsNoFreshStart: a bbolt file whose creation failed at its sync opens as a good database with nothing
// in it (findings/bbolt-failed-creation.sh). Nothing in it is no mark at zero.
func TestEmptyDatabaseIsNoFreshStart(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, store.FileName)
	db, err := bolt.Open(path, 0o600, nil)
	require.NoError(t, err)
	require.NoError(t, db.Close())
	before, err := os.ReadFile(path)
	require.NoError(t, err)

	_, err = tryOpen(dir)
	requireDistrust(t, err, hwm.ErrCorrupt)
	require.ErrorIs(t, store.Create(t.Context(), dir, at), store.ErrExists)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}
