package audit

import (
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"highwater/internal/loghead"
)

// TestHeadIsBehindAllDecisionsBefore: a document's head has every decision told before, and is on the disk.
func TestHeadIsBehindAllDecisionsBefore(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir)
	stop := r.running()
	require.NotNil(t, r.Head(t.Context()))
	for level := range int32(500) {
		r.Tell(signed(level))
	}
	h := r.Head(t.Context())
	stop()
	require.NotNil(t, h)
	v := mustVerify(t, dir, *h)
	require.Empty(t, v.Faults)
	require.Equal(t, []Known{*h}, v.Found)
	var last int32
	for _, row := range rows(t, dir) {
		if row.Decision != nil && row.Record <= h.Record {
			last = row.Decision.Level
		}
	}
	require.Equal(t, int32(499), last)
	end, err := LastHead(dir)
	require.NoError(t, err)
	require.Equal(t, &Known{Record: v.Last, Link: v.Link}, end, "as the files tell without a daemon")
}

// TestNoHead: none is absent, and never a zero. A disk that hangs or fails holds a document up for a bounded time.
func TestNoHead(t *testing.T) {
	require.Nil(t, (*Log)(nil).Head(t.Context()))
	none, err := LastHead(t.TempDir() + "/none")
	require.NoError(t, err)
	require.Nil(t, none)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, dir)
		require.Nil(t, r.Head(t.Context()), "nobody writes")
		var broken atomic.Bool
		r.io.sync = func(*os.File) error {
			if broken.Load() {
				return errors.New("no disk")
			}
			return nil
		}
		stop := r.running()
		require.NotNil(t, r.Head(t.Context()))
		broken.Store(true)
		require.Nil(t, r.Head(t.Context()), "not durable")
		stop()
	})
}

// TestAPeersHeadIsARecord: the own log keeps the head of the peer's log.
func TestAPeersHeadIsARecord(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir)
	stop := r.running()
	h := loghead.Head{Record: 7, Link: Hash{9}}
	r.Hear("bb", "certificate of epoch 8", h)
	(*Log)(nil).Hear("bb", "", h)
	stop()
	heard := events(t, dir, Heard)
	require.Len(t, heard, 1)
	require.Equal(t, "bb", heard[0].Peer)
	require.Equal(t, &h, heard[0].Head)
	require.Equal(t, "certificate of epoch 8", heard[0].Why)
	require.Empty(t, mustVerify(t, dir).Faults)
}
