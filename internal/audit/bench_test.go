package audit

import (
	"bytes"
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkVerify reads a log of 500,000 decisions; docs/monitoring.md has the rate.
func BenchmarkVerify(b *testing.B) {
	dir := b.TempDir()
	r := New(Config{Dir: dir, MaxSize: 1 << 30, Log: discard})
	w := &writer{Log: r}
	r.io.sync = func(*os.File) error { return nil }
	entries := make([]entry, 1000)
	for level := range int32(500) {
		for i := range entries {
			entries[i].d = signed(level*1000 + int32(i))
		}
		require.True(b, r.attempt(w))
		require.NoError(b, w.write(entries))
	}
	r.finish(w)
	for b.Loop() {
		v, err := Verify(dir)
		require.NoError(b, err)
		require.Empty(b, v.Faults)
		require.Equal(b, uint64(500_000), v.Decisions)
	}
	b.ReportMetric(float64(b.N)*500_000/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkTell is the cost for a request: the queue, with the log written meanwhile.
func BenchmarkTell(b *testing.B) {
	l := New(Config{Dir: b.TempDir(), MaxSize: 1 << 30, Log: discard})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { l.Run(ctx); close(done) }()
	d := signed(1)
	b.ReportAllocs()
	for b.Loop() {
		l.Tell(d)
	}
	stop()
	<-done
}

// FuzzRead gives a reader any bytes: no reader ends in a panic, and what is read is what the links say.
func FuzzRead(f *testing.F) {
	dir := f.TempDir()
	l := New(Config{Dir: dir, MaxSize: 1 << 30, Log: discard})
	w := &writer{Log: l}
	l.io.sync = func(*os.File) error { return nil }
	for level := range int32(3) {
		l.take(w, entry{d: signed(level)})
	}
	l.finish(w)
	files, err := list(dir, logName)
	require.NoError(f, err)
	good, err := os.ReadFile(files[0].path)
	require.NoError(f, err)
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add([]byte{})
	bad, _ := appendRecord(good, Hash{}, typeDecision, make([]byte, decisionLen))
	f.Add(bad)
	head, link := appendRecord(nil, Hash{}, typeHeader, []byte(`{"version":1,"record":1,"before":"`+Hash{}.String()+`"}`))
	head, _ = appendRecord(head, link, typeDecision, make([]byte, decisionLen))
	f.Add(head)
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		_, err := eachRow(bytes.NewReader(b), 1, true, func(Row) bool { n++; return true })
		v := Report{}
		require.NoError(t, v.verifyRecords(bytes.NewReader(b), file{path: "f", first: 1, size: int64(len(b))}, true, true))
		e, eerr := endOf(bytes.NewReader(b), 1)
		require.NoError(t, eerr)
		require.LessOrEqual(t, e.at, int64(len(b)))
		if err != nil {
			require.NotEmpty(t, v.Faults, "a reader that stops, and a verification that does not")
		}
		require.LessOrEqual(t, int(v.Decisions), n+1)
	})
}
