package store_test

import (
	"context"
	"log/slog"
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
	// Of another curve: it cannot be kept.
	db.Keep(key, storetest.Mark(11, 0, 1).Digest, storetest.Signature(t, tezos.BLS12381, 1))
	require.Equal(t, int32(1), w.lines.Load())
	// Too long a name.
	db.NoteSigned(map[hwm.SignedBy]hwm.SignedUpTo{
		{Device: strings.Repeat("d", 40_000), PKH: key.PKH, Kind: tezos.Block}: {Open: true},
	})
	require.Equal(t, int32(2), w.lines.Load())
	storetest.Break(t, db.Path(), storetest.NoSpace)
	require.ErrorIs(t, storetest.Advance(db, key, storetest.Mark(12, 0, 1)), store.ErrPoisoned)
	require.Eventually(t, func() bool { return w.lines.Load() == 3 }, 5*time.Second, time.Millisecond)
	require.False(t, w.held.Load())
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
