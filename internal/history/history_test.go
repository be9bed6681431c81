package history

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

func key(n int) tezos.PublicKeyHash {
	return tezos.PublicKeyHash{Hash: [20]byte{byte(n), byte(n >> 8)}}
}

func record(level int32, state State) Record {
	return Record{PKH: key(1), Kind: tezos.Attestation, Level: level, State: state, At: time.Unix(1000+int64(level), 0)}
}

// states are the states of the only series, by level.
func states(t *testing.T, h *History) map[int32]State {
	t.Helper()
	all := read(h, nil)
	require.Len(t, all, 1)
	out := map[int32]State{}
	for _, q := range all[0].Squares {
		out[q.Level] = q.State
	}
	require.Len(t, out, len(all[0].Squares))
	return out
}

func TestALevelKeepsItsMostTellingState(t *testing.T) {
	for _, c := range []struct {
		told []State
		want State
	}{
		{[]State{Signed, Replayed}, Signed},
		{[]State{Failed, Signed}, Signed},
		{[]State{Signed, Refused}, Signed},
		{[]State{Signed, Conflict, Replayed}, Conflict},
		{[]State{Fenced, Refused}, Refused},
	} {
		h := New()
		for _, s := range c.told {
			h.keep(record(700, s))
		}
		require.Equal(t, map[int32]State{700: c.want}, states(t, h), c.told)
	}
}

func TestTheLatestLevels(t *testing.T) {
	h := New()
	for level := int32(1); level <= 1000; level++ {
		if level%10 != 0 {
			h.keep(record(level, Signed))
		}
	}
	got := states(t, h)
	require.Len(t, got, Levels-1, "the last asked level is 999, and 800 was not asked")
	require.Equal(t, Signed, got[999])
	require.Equal(t, None, got[990])
	require.NotContains(t, got, int32(799))
}

// TestAnAbsurdLevelHidesNothing: somebody asks a backup or a fenced signer for any level.
func TestAnAbsurdLevelHidesNothing(t *testing.T) {
	h := New()
	h.keep(record(500, Signed))
	h.keep(record(1<<31-1, Refused))
	h.keep(record(1<<30+500%Levels, Fenced)) // on the slot of 500, or another
	for level := int32(501); level < 520; level++ {
		h.keep(record(level, Signed))
	}
	h.keep(record(100, Refused)) // the slot of 500
	got := states(t, h)
	require.Len(t, got, 20)
	for level := int32(500); level < 520; level++ {
		require.Equal(t, Signed, got[level], level)
	}
}

func TestLatencyWithItsShares(t *testing.T) {
	h := New()
	for level := int32(1); level <= 100; level++ {
		r := record(level, Signed)
		r.Took, r.Device, r.Disk = time.Duration(level)*time.Millisecond, time.Duration(level)*600*time.Microsecond,
			time.Duration(level)*100*time.Microsecond
		h.keep(r)
	}
	slow := record(101, Replayed)
	slow.Took = time.Hour
	h.keep(slow)
	l := read(h, nil)[0].Latency
	require.Equal(t, 100, l.Signatures)
	require.Equal(t, uint32(50_000), l.P50US)
	require.Equal(t, uint32(99_000), l.P99US)
	require.InDelta(t, 0.6, l.Device, 1e-9)
	require.InDelta(t, 0.1, l.Disk, 1e-9)
}

// TestTellNeverWaits: nobody takes from the queue, and the reader holds the lock.
func TestTellNeverWaits(t *testing.T) {
	h := New()
	h.mu.Lock()
	defer h.mu.Unlock()
	told := make(chan struct{})
	go func() {
		defer close(told)
		for range queued + 7 {
			h.Tell(record(1, Signed))
		}
	}()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Fatal("Tell waits")
	}
	require.Equal(t, uint64(7), h.Lost())
}

func TestRunKeeps(t *testing.T) {
	h := New()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	h.Tell(record(7, Signed))
	require.Eventually(t, func() bool { return len(read(h, nil)) == 1 }, 10*time.Second, time.Millisecond)
	stop()
	<-done
}

func TestTheMemoryIsBounded(t *testing.T) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	h := New()
	for k := range 120 { // more keys than there is room for
		for _, kind := range tezos.Kinds {
			for level := int32(1); level <= 2*Levels; level++ {
				h.keep(Record{PKH: key(k), Kind: kind, Level: level, State: Signed, At: time.Unix(int64(k), 0)})
			}
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(5<<20))
	all := read(h, nil)
	require.Len(t, all, maxSeries)
	require.Equal(t, key(20), all[0].PKH, "the keys told of last are kept")
}

func BenchmarkTell(b *testing.B) {
	h := New()
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	go h.Run(ctx)
	r := record(1, Signed)
	b.ReportAllocs()
	for b.Loop() {
		h.Tell(r)
	}
}
