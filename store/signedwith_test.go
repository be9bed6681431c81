package store_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
)

// What was signed with a device outlives the process, beside what devices said of themselves, and is written only when
// it is new.
func TestSignedWith(t *testing.T) {
	dir := newDir(t)
	var commits atomic.Int32
	open := func() *store.DB {
		db, err := store.Open(t.Context(), dir, store.Options{OnCommit: func(time.Duration) { commits.Add(1) }})
		require.NoError(t, err)
		return db
	}
	db := open()
	require.Empty(t, db.SignedWith())
	pkh := tezos.PublicKeyHash{Curve: tezos.BLS12381}
	rows := map[hwm.SignedBy]hwm.SignedUpTo{
		{Device: "left\nts-1", PKH: pkh, Kind: tezos.Block}:        {Position: hwm.Position{Level: 7, Round: 1}, Open: true},
		{Device: "right\nts-2", PKH: pkh, Kind: tezos.Attestation}: {Position: hwm.Position{Level: 9}},
	}
	db.NoteSigned(rows)
	require.NoError(t, db.SetSeen("left\nts-1", pkh, tezos.Block, hwm.Position{Level: 5}))
	require.Equal(t, rows, db.SignedWith())
	require.NoError(t, db.Close())

	db = open()
	require.Equal(t, rows, db.SignedWith())
	p, ok := db.Seen("left\nts-1", pkh, tezos.Block)
	require.True(t, ok)
	require.Equal(t, hwm.Position{Level: 5}, p)
	before := commits.Load()
	db.NoteSigned(rows)
	require.NoError(t, db.Close())
	require.Equal(t, before, commits.Load(), "nothing is new")
}
