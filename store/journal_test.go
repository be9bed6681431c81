package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/storetest"
)

// The journal keeps the last thousand entries, in order, over restarts too.
func TestJournalIsBounded(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	const most, extra = 1000, 30
	for n := range most + extra {
		require.NoError(t, db.Record(store.JournalEntry{
			At: at, Action: "test", What: fmt.Sprint(n), Why: strings.Repeat("y", 600),
		}))
	}
	for range 2 {
		j := db.Journal()
		require.Len(t, j, most)
		require.Equal(t, fmt.Sprint(extra), j[0].What)
		require.Equal(t, uint64(extra), db.Forgotten())
		require.Equal(t, fmt.Sprint(most+extra-1), j[most-1].What)
		require.Len(t, j[0].Why, hwm.MaxWhy)
		require.NoError(t, db.Close())
		db = openDir(t, dir)
	}
	require.NoError(t, db.Record(store.JournalEntry{At: at, Action: "test", What: "one more"}))
	require.Len(t, db.Journal(), most)
	require.Error(t, db.Record(store.JournalEntry{At: time.Unix(1<<40, 0)}), "no JSON has this year")
	require.NoError(t, db.Healthy())
}

func TestLower(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	key := storetest.Key(1, tezos.Block)
	down := hwm.Floor(5, at, hwm.SourceSet)
	require.ErrorIs(t, db.Lower(key, down, "why"), hwm.ErrNoMark)
	storetest.Floor(t, db, 10, key)
	require.Error(t, db.Lower(key, down, ""))
	require.Error(t, db.Lower(key, down, " \n "))
	require.Error(t, db.Lower(key, hwm.Floor(10, at, hwm.SourceSet), "not lower"))
	require.Error(t, db.Lower(key, hwm.Floor(11, at, hwm.SourceSet), "not lower"))
	require.Error(t, db.Lower(key, hwm.Floor(-1, at, hwm.SourceSet), "negative"))
	require.Empty(t, db.Journal())
	require.NoError(t, db.Lower(key, down, "the chain was\nrestarted"))
	for range 2 {
		st, err := db.State(key)
		require.NoError(t, err)
		require.Equal(t, int32(5), st.Mark.Level)
		require.Equal(t, hwm.SourceLowered, st.Mark.Source)
		require.False(t, st.Fresh)
		j := db.Journal()
		require.Len(t, j, 1)
		require.Equal(t, "lower", j[0].Action)
		require.Equal(t, "the chain was restarted", j[0].Why)
		require.Contains(t, j[0].What, "from level 10, any round to level 5, any round")
		require.NoError(t, db.Close())
		db = openDir(t, dir)
	}
}

func TestLift(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	key := storetest.Key(1, tezos.Block)
	ck := hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}
	require.Error(t, db.Lift(ck, at, "there is none"))
	setCeiling(t, db, 7)
	storetest.Floor(t, db, 5, key)
	require.Error(t, db.Lift(ck, at, ""))
	require.Error(t, db.Lift(ck, at, "\t"))
	require.Error(t, storetest.Advance(db, key, storetest.Mark(8, 0, 1)))
	require.NoError(t, db.Lift(ck, at, "given back"))
	require.NoError(t, storetest.Advance(db, key, storetest.Mark(8, 0, 1)))
	require.NoError(t, db.Close())
	db = openDir(t, dir)
	require.Empty(t, db.Ceilings())
	require.Equal(t, "given back", db.Journal()[0].Why)
}

// A change of role is in the journal, in the same write.
func TestRoleIsJournaled(t *testing.T) {
	db := openDir(t, newDir(t))
	activate(t, db, 10)
	j := db.Journal()
	require.Len(t, j, 1)
	require.Equal(t, "active", j[0].Action)
	require.Equal(t, "epoch 1, 1 floors", j[0].What)
}
