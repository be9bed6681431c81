package store_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/storetest"
)

// What arrives while one transaction is on its way shares the next: 64 advances cost two.
func TestGroupCommit(t *testing.T) {
	dir := newDir(t)
	const keys = 64
	commits := make(chan struct{}, 1000)
	hold := make(chan struct{})
	db := openDir(t, dir, store.Options{OnCommit: func(time.Duration) {
		commits <- struct{}{}
		<-hold // as slow a disk as the test wants: nobody is told before it says so
	}})
	names := make([]hwm.Key, keys)
	for n := range names {
		names[n] = storetest.Key(n, tezos.Block)
	}
	floors := make(chan error, 1)
	go func() {
		var rows []hwm.Row
		for _, k := range names {
			rows = append(rows, hwm.Row{Key: k, Mark: hwm.Floor(1, at, hwm.SourceSet)})
		}
		_, err := db.Raise(rows)
		floors <- err
	}()
	<-commits
	hold <- struct{}{}
	require.NoError(t, <-floors)

	first, err := db.Advance(names[0], storetest.Mark(2, 0, 1))
	require.NoError(t, err)
	<-commits // its transaction is on its way
	var pending []hwm.Pending
	for _, k := range names[1:] {
		p, advErr := db.Advance(k, storetest.Mark(2, 0, 1))
		require.NoError(t, advErr)
		pending = append(pending, p)
	}
	again, err := db.Advance(names[1], storetest.Mark(3, 0, 1))
	require.NoError(t, err)
	hold <- struct{}{}
	require.NoError(t, first.Wait())
	<-commits
	hold <- struct{}{}
	for _, p := range append(pending, again) {
		require.NoError(t, p.Wait())
	}
	close(hold)
	require.NoError(t, db.Close())
	require.Empty(t, commits, "more than two transactions for 64 advances")
	db = openDir(t, dir)
	st, err := db.State(names[1])
	require.NoError(t, err)
	require.Equal(t, int32(3), st.Mark.Level)
}

// What was there already is durable as well when a raise returns, also when it is only on its way yet; and a role is
// nobody's before it is.
func TestNothingIsDoneBeforeItIsDurable(t *testing.T) {
	commits, hold := make(chan struct{}, 10), make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release() // or a failed test could not close its store
	db := openDir(t, newDir(t), store.Options{OnCommit: func(time.Duration) {
		commits <- struct{}{}
		<-hold // as slow a disk as the test wants: nobody is told before it says so
	}})
	done := make(chan error, 4)
	raise := func(n int) {
		go func() {
			_, err := db.Raise([]hwm.Row{{Key: storetest.Key(n, tezos.Block), Mark: hwm.Floor(1, at, hwm.SourceSet)}})
			done <- err
		}()
	}
	there := func(n int) func() bool {
		return func() bool {
			st, err := db.State(storetest.Key(n, tezos.Block))
			return err == nil && st.Mark != nil
		}
	}
	raise(0)
	<-commits // its transaction is on its way
	raise(1)
	require.Eventually(t, there(1), 10*time.Second, time.Millisecond)
	raise(1)
	early := func() {
		select {
		case <-done:
			require.Fail(t, "a raise returned before its mark was durable, or the mark that was there")
		case <-time.After(50 * time.Millisecond):
		}
	}
	early()
	hold <- struct{}{}
	require.NoError(t, <-done)
	<-commits // that of the second and third
	early()
	hold <- struct{}{}
	require.NoError(t, <-done)
	require.NoError(t, <-done)

	go func() {
		done <- db.SetRole(hwm.RoleRecord{Role: hwm.Active, Epoch: 1, Owner: db.Instance(), Since: at}, nil)
	}()
	<-commits
	require.Equal(t, hwm.Standby, db.Role().Role, "active before it was durable")
	release()
	require.NoError(t, <-done)
	require.Equal(t, hwm.Active, db.Role().Role)
}

// Under load from many goroutines there are far fewer transactions than advances.
func TestGroupCommitUnderLoad(t *testing.T) {
	const keys, steps = 32, 20
	var mu sync.Mutex
	commits := 0
	db := openDir(t, newDir(t), store.Options{OnCommit: func(time.Duration) {
		mu.Lock()
		commits++
		mu.Unlock()
		time.Sleep(time.Millisecond) //nolint:forbidigo // a slow disk, not a synchronisation
	}})
	var all sync.WaitGroup
	for n := range keys {
		key := storetest.Key(n, tezos.Block)
		storetest.Floor(t, db, 0, key)
		all.Go(func() {
			for level := int32(1); level <= steps; level++ {
				if err := storetest.Advance(db, key, storetest.Mark(level, 0, 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	mu.Lock()
	defer mu.Unlock()
	require.Less(t, commits, keys+keys*steps/4, "%d advances", keys*steps)
}

// Kept signatures go with the next transaction, or with one of their own soon after; nobody waits for them, and Close
// takes them.
func TestKeptSignatures(t *testing.T) {
	dir := newDir(t)
	commits := make(chan struct{}, 100)
	db := openDir(t, dir, store.Options{OnCommit: func(time.Duration) { commits <- struct{}{} }})
	a, b := storetest.Key(0, tezos.Block), storetest.Key(4, tezos.Block)
	storetest.Floor(t, db, 0, a, b)
	mark := storetest.Mark(1, 0, 1)
	sig := storetest.Signature(t, tezos.Ed25519, 9)
	require.NoError(t, storetest.Advance(db, a, mark))
	require.NoError(t, storetest.Advance(db, b, mark))
	for len(commits) > 0 {
		<-commits
	}
	for level := int32(2); level < 4; level++ { // more than once: the first may find a timer that runs since the start
		mark = storetest.Mark(level, 0, 1)
		require.NoError(t, storetest.Advance(db, a, mark))
		<-commits
		db.Keep(a, mark.Digest, sig)
		select {
		case <-commits: // alone, soon
		case <-time.After(5 * time.Second):
			require.Fail(t, "the signature was not written")
		}
	}
	mark = storetest.Mark(1, 0, 1)
	db.Keep(b, mark.Digest, sig)
	require.NoError(t, db.Close())
	db = openDir(t, dir)
	for _, k := range []hwm.Key{a, b} {
		st, err := db.State(k)
		require.NoError(t, err)
		require.True(t, st.Mark.Signature.Equal(sig))
	}
}

// The file does not grow with the number of signatures.
func TestFileDoesNotGrow(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	const keys, total = 100, 200_000
	names := make([]hwm.Key, keys)
	sigs := make([]tezos.Signature, keys)
	for n := range names {
		names[n] = storetest.Key(n, tezos.Attestation)
		sigs[n] = storetest.Signature(t, names[n].PKH.Curve, byte(n))
	}
	storetest.Floor(t, db, 0, names...)
	size := func() int64 {
		info, err := os.Stat(db.Path())
		require.NoError(t, err)
		return info.Size()
	}
	early := int64(0)
	for level := int32(1); level <= total/keys; level++ {
		var last hwm.Pending
		mark := storetest.Mark(level, 0, byte(level))
		for _, k := range names {
			var err error
			last, err = db.Advance(k, mark)
			require.NoError(t, err)
		}
		require.NoError(t, last.Wait())
		for n, k := range names {
			db.Keep(k, mark.Digest, sigs[n])
		}
		if level == 100 {
			early = size()
		}
	}
	require.LessOrEqual(t, size(), 2*early, "after %d advances", total)
	require.Less(t, size(), int64(4<<20))
}

func TestAfterClose(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	key := storetest.Key(1, tezos.Block)
	storetest.Floor(t, db, 5, key)
	require.NoError(t, db.Close())
	require.ErrorIs(t, db.Close(), store.ErrClosed)
	require.ErrorIs(t, db.Healthy(), store.ErrClosed)
	_, err := db.State(key)
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = db.Advance(key, storetest.Mark(6, 0, 1))
	require.ErrorIs(t, err, store.ErrClosed)
	_, err = db.Raise(nil)
	require.ErrorIs(t, err, store.ErrClosed)
	db.Keep(key, storetest.Mark(6, 0, 1).Digest, storetest.Signature(t, key.PKH.Curve, 1))
}

// Whoever waits while the store closes is told the truth.
func TestCloseUnderLoad(t *testing.T) {
	dir := newDir(t)
	db := openDir(t, dir)
	const keys = 16
	var acked [keys]int32
	var all sync.WaitGroup
	begun := make(chan struct{}, keys)
	for n := range keys {
		key := storetest.Key(n, tezos.Block)
		storetest.Floor(t, db, 0, key)
		all.Go(func() {
			for level := int32(1); storetest.Advance(db, key, storetest.Mark(level, 0, 1)) == nil; level++ {
				acked[n] = level
				if level == 5 {
					begun <- struct{}{}
				}
			}
		})
	}
	for range keys {
		<-begun
	}
	require.NoError(t, db.Close())
	all.Wait()
	db = openDir(t, dir)
	for n := range keys {
		st, err := db.State(storetest.Key(n, tezos.Block))
		require.NoError(t, err)
		require.Equal(t, acked[n], st.Mark.Level)
	}
}
