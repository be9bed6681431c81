package daemon

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/store"
)

// TestWhoMayShare holds an instance that shared its right back from going on alone, and one of a pair from sharing.
func TestWhoMayShare(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, store.Create(t.Context(), dir, time.Now()))
	db, err := store.Open(t.Context(), dir, store.Options{})
	require.NoError(t, err)
	alone, sharing := &config.Config{},
		&config.Config{Register: config.Register{Endpoints: []string{"http://127.0.0.1:1"}}}
	require.NoError(t, mayShare(alone, db))
	require.NoError(t, mayShare(sharing, db))

	require.NoError(t, db.SetPeer(&hwm.Peer{Address: "10.0.0.2:6734", Key: hwm.InstanceID{2}}))
	require.NoError(t, mayShare(alone, db))
	require.ErrorContains(t, mayShare(sharing, db), "a single giver")
	require.NoError(t, db.SetPeer(nil))

	require.NoError(t, db.SeeRegister(func(s *hwm.RegisterSeen) { s.Cluster, s.Epoch, s.Aside = 7, 3, "kept" }))
	require.NoError(t, db.Close())
	db, err = store.Open(t.Context(), dir, store.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	require.Equal(t, hwm.RegisterSeen{Cluster: 7, Epoch: 3, Aside: "kept"}, db.RegisterSeen(),
		"what was seen outlives the process")
	require.NoError(t, mayShare(sharing, db))
	require.ErrorContains(t, mayShare(alone, db), "another machine may sign now")

	require.NoError(t, db.SeeRegister(func(s *hwm.RegisterSeen) { s.Detached = 1 }))
	require.NoError(t, mayShare(alone, db))
	require.ErrorContains(t, mayShare(sharing, db), "left the register")
}
