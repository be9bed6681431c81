package store_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/storetest"
)

// lockWatch is a log that finds out whether a line is written with the lock of the store in hand.
type lockWatch struct {
	slog.Handler
	db    atomic.Pointer[store.DB]
	lines atomic.Int32
	held  atomic.Bool
}

func (l *lockWatch) Enabled(context.Context, slog.Level) bool { return true }

func (l *lockWatch) Handle(context.Context, slog.Record) error {
	free := false
	for deadline := time.Now().Add(2 * time.Second); !free && time.Now().Before(deadline); <-time.After(time.Millisecond) {
		free = l.db.Load().LockFree() // another goroutine may hold it for a moment
	}
	if !free {
		l.held.Store(true)
	}
	l.lines.Add(1)
	return nil
}

// A failed commit has its line, and nobody holds the lock meanwhile: a log that nobody reads must not keep requests
// waiting.
func TestNothingIsLoggedUnderTheLock(t *testing.T) {
	w := &lockWatch{Handler: slog.DiscardHandler}
	key := storetest.Key(1, tezos.Block)
	db := openDir(t, newDir(t), store.Options{Log: slog.New(w)})
	w.db.Store(db)
	storetest.Floor(t, db, 10, key)
	require.NoError(t, storetest.Advance(db, key, storetest.Mark(11, 0, 1)))
	said := func(lines int32) {
		require.Eventually(t, func() bool { return w.lines.Load() == lines }, 5*time.Second, time.Millisecond)
	}
	// Of another curve: it cannot be kept.
	db.Keep(key, storetest.Mark(11, 0, 1).Digest, storetest.Signature(t, tezos.BLS12381, 1))
	said(1)
	// Too long a name.
	db.NoteSigned(map[hwm.SignedBy]hwm.SignedUpTo{
		{Device: strings.Repeat("d", 40_000), PKH: key.PKH, Kind: tezos.Block}: {Open: true},
	})
	said(2)
	storetest.Break(t, db.Path(), storetest.NoSpace)
	require.ErrorIs(t, storetest.Advance(db, key, storetest.Mark(12, 0, 1)), store.ErrPoisoned)
	said(3)
	require.False(t, w.held.Load())
}

// The signer calls the store with the lock of a request's kind in hand, and a turn at a device. No such call waits for
// a log.
func TestNoRequestWaitsForTheLog(t *testing.T) {
	l := stuckLog{slog.DiscardHandler, make(chan struct{})}
	key := storetest.Key(1, tezos.Block)
	db := openDir(t, newDir(t), store.Options{Log: slog.New(l), Ahead: 50})
	storetest.Floor(t, db, 10, key)
	require.NoError(t, storetest.Advance(db, key, storetest.Mark(11, 0, 1)))
	horizon := func() int32 { return db.Horizons()[hwm.CeilingKey{Chain: key.Chain, PKH: key.PKH}] }
	require.Eventually(t, func() bool { return horizon() > 12 }, 5*time.Second, time.Millisecond)
	covered, err := db.Advance(key, storetest.Mark(12, 0, 1))
	require.NoError(t, err)
	require.NoError(t, os.Rename(db.Path(), db.Path()+".away"))
	ended := make(chan error, 1)
	go func() {
		db.Keep(key, storetest.Mark(12, 0, 1).Digest, storetest.Signature(t, tezos.BLS12381, 1)) // of another curve
		db.NoteSigned(map[hwm.SignedBy]hwm.SignedUpTo{
			{Device: strings.Repeat("d", 40_000), PKH: key.PKH, Kind: tezos.Block}: {Open: true},
		})
		ended <- covered.Wait()
	}()
	select {
	case err = <-ended:
	case <-time.After(5 * time.Second):
		err = errors.New("the log is waited for")
	}
	close(l.hangs)
	require.NoError(t, os.Rename(db.Path()+".away", db.Path()))
	require.ErrorIs(t, err, store.ErrPoisoned)
}

// stuckLog is a log whose reader hangs.
type stuckLog struct {
	slog.Handler
	hangs chan struct{}
}

func (stuckLog) Enabled(context.Context, slog.Level) bool { return true }

func (l stuckLog) Handle(context.Context, slog.Record) error {
	<-l.hangs
	return nil
}

// Whoever waits for a commit that fails is told before the log is.
func TestAFailedCommitWaitsForNoLog(t *testing.T) {
	l := stuckLog{slog.DiscardHandler, make(chan struct{})}
	key := storetest.Key(1, tezos.Block)
	db := openDir(t, newDir(t), store.Options{Log: slog.New(l)})
	storetest.Floor(t, db, 10, key)
	storetest.Break(t, db.Path(), storetest.NoSpace)
	told := make(chan error, 1)
	go func() { told <- storetest.Advance(db, key, storetest.Mark(12, 0, 1)) }()
	select {
	case err := <-told:
		close(l.hangs)
		require.ErrorIs(t, err, store.ErrPoisoned)
	case <-time.After(5 * time.Second):
		close(l.hangs)
		require.Fail(t, "the log is waited for")
	}
}

// A runtime file that cannot be made has its line, too, and nobody holds the lock meanwhile.
func TestNoRuntimeFileIsLoggedWithoutTheLock(t *testing.T) {
	w := &lockWatch{Handler: slog.DiscardHandler}
	key := storetest.Key(1, tezos.Block)
	db := openDir(t, newDir(t), store.Options{Log: slog.New(w), Ahead: 1, RuntimeDir: "/nonexistent"})
	w.db.Store(db)
	storetest.Floor(t, db, 10, key)
	require.Eventually(t, func() bool { return w.lines.Load() == 1 }, 5*time.Second, time.Millisecond)
	require.False(t, w.held.Load())
	require.NoError(t, storetest.Advance(db, key, storetest.Mark(11, 0, 1)),
		"a missing runtime file is no reason not to sign")
}
