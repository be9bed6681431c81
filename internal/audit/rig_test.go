package audit

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/tezos"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var discard = slog.New(slog.DiscardHandler)

// rig is a log in a directory, written by hand.
type rig struct {
	*Log
	t      *testing.T
	w      *writer
	now    time.Time
	synced int
}

const small = 64 << 10 // a bound: files of 2 KiB

func newRig(t *testing.T, dir string) *rig {
	r := &rig{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	r.Log = New(Config{
		Dir: dir, MaxSize: small, Instance: "aa", Chain: "NetXdQprcVkpaWU", Log: discard,
		Now: func() time.Time { return r.now },
	})
	r.w = &writer{Log: r.Log}
	r.io.sync = func(*os.File) error { r.synced++; return nil }
	r.io.free = func(string) (uint64, error) { return 1 << 40, nil }
	return r
}

func key(n byte) tezos.PublicKeyHash { return tezos.PublicKeyHash{Hash: [20]byte{n}} }

func signed(level int32) Decision {
	sig, err := tezos.NewSignature(tezos.Ed25519, append(make([]byte, 60), byte(level), byte(level>>8), 1, 2))
	if err != nil {
		panic(err)
	}
	return Decision{
		At: time.Unix(1_700_000_000+int64(level)*6, 0), PKH: key(1), Kind: tezos.Attestation, Level: level, Round: 1,
		Digest: [32]byte{byte(level), 9}, Client: "127.0.0.1", Before: Place{level - 1, 0}, Moved: true, Verdict: "signed",
		Device: "left", Took: 123 * time.Millisecond, Signature: sig,
	}
}

// put writes decisions, one write each.
func (r *rig) put(ds ...Decision) {
	for _, d := range ds {
		r.take(r.w, entry{d: d})
	}
}

// signLevels writes the signatures of levels.
func (r *rig) signLevels(from, to int32) *rig {
	for level := from; level <= to; level++ {
		r.put(signed(level))
	}
	return r
}

func (r *rig) end() { r.finish(r.w) }

func rows(t *testing.T, dir string) (out []Row) {
	t.Helper()
	require.NoError(t, Each(dir, func(r Row) bool { out = append(out, r); return true }))
	return out
}

// events are the events of a kind.
func events(t *testing.T, dir, what string) (out []Event) {
	t.Helper()
	for _, r := range rows(t, dir) {
		if r.Event != nil && r.Event.What == what {
			out = append(out, *r.Event)
		}
	}
	return out
}

func levels(t *testing.T, dir string) (out []int32) {
	t.Helper()
	for _, r := range rows(t, dir) {
		if r.Decision != nil {
			out = append(out, r.Decision.Level)
		}
	}
	return out
}

func mustVerify(t *testing.T, dir string, known ...Known) Report {
	t.Helper()
	r, err := Verify(dir, known...)
	require.NoError(t, err)
	return r
}

func paths(t *testing.T, dir string) (out []string) {
	t.Helper()
	files, err := list(dir, logName)
	require.NoError(t, err)
	for _, f := range files {
		out = append(out, f.path)
	}
	return out
}

// running runs the log until the returned function is called.
func (r *rig) running() (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	return func() { cancel(); <-done }
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

func aside(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*.torn"))
	require.NoError(t, err)
	return found
}
