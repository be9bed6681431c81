package audit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAPowerCutIsNoTampering: a log is looked at after a power cut, and before the next start. Zeros elsewhere than at
// the end, and more bytes than those of one record, are nobody's power cut.
func TestAPowerCutIsNoTampering(t *testing.T) {
	for name, c := range map[string]struct {
		tear  func(b []byte) []byte
		fault bool
	}{
		"half a record":             {tear: func(b []byte) []byte { return b[:len(b)-5] }},
		"zeros":                     {tear: func(b []byte) []byte { return append(b, make([]byte, 4096)...) }},
		"half a record, then zeros": {tear: func(b []byte) []byte { return append(b[:len(b)-30], make([]byte, 8192)...) }},
		"zeros inside":              {tear: func(b []byte) []byte { clear(b[len(b)-150:]); return b }},
		"zeros before a record":     {func(b []byte) []byte { clear(b[len(b)-150 : len(b)-100]); return b }, true},
		"a changed last record":     {func(b []byte) []byte { b[len(b)-20] ^= 1; return b }, true},
		"something put in, and zeros": {func(b []byte) []byte {
			return append(append(b, bytes.Repeat([]byte{0, 7}, 2000)...), make([]byte, 4096)...)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			newRig(t, dir).signLevels(1, 12)
			path := paths(t, dir)[0]
			require.NoError(t, os.WriteFile(path, c.tear(contents(t, path)), 0o600))
			v := mustVerify(t, dir)
			err := Each(dir, func(Row) bool { return true })
			if c.fault {
				require.Len(t, v.Faults, 1)
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Empty(t, v.Faults)
			require.Len(t, v.Notes, 1)
			require.Contains(t, v.Notes[0].Text, "a power cut")
			require.Contains(t, mustVerify(t, dir, Known{Record: v.Last + 1}).Faults[0].Text, "cut off", "a known head tells")
		})
	}
}

var errCut = errors.New("the power is cut")

// cutAt lets the nth call to the disk from now on, and all later ones, fail: nothing happens after a power cut.
func (r *rig) cutAt(n int) (happened func() bool) {
	left := n
	fails := func() bool { left--; return left < 0 }
	r.io.write = func(f *os.File, b []byte) (int, error) {
		if fails() {
			return 0, errCut
		}
		return f.Write(b)
	}
	r.io.sync = func(*os.File) error {
		if fails() {
			return errCut
		}
		return nil
	}
	r.io.remove = func(path string) error {
		if fails() {
			return errCut
		}
		return os.Remove(path)
	}
	return func() bool { return left < 0 }
}

// tiny has files of a few records.
func tiny(r *rig) *rig {
	r.cfg.MaxSize = 24 << 10
	return r
}

// TestACutRotationAccusesNobody: whatever step of a rotation a power cut or a fault ends, the log verifies before the
// next start, after the start, and when the process goes on instead; and the bound is kept.
func TestACutRotationAccusesNobody(t *testing.T) {
	full := t.TempDir()
	tiny(newRig(t, full)).signLevels(1, 200) // beyond the bound
	require.Greater(t, mustVerify(t, full).First, uint64(1))
	for _, goesOn := range []bool{false, true} {
		for n, cut := 0, true; cut; n++ {
			dir := t.TempDir()
			require.NoError(t, os.CopyFS(dir, os.DirFS(full)))
			r := tiny(newRig(t, dir)).signLevels(201, 202)
			files := len(paths(t, dir))
			good := r.io
			happened := r.cutAt(n)
			r.signLevels(203, 208) // with two rotations
			cut = happened()
			require.Empty(t, mustVerify(t, dir).Faults, "cut at call %d", n)
			if goesOn {
				r.io, r.now = good, r.now.Add(2*time.Second)
			} else {
				r = tiny(newRig(t, dir))
			}
			r.signLevels(209, 220).end()
			v := mustVerify(t, dir)
			require.Empty(t, v.Faults, "cut at call %d", n)
			require.LessOrEqual(t, v.Files, files+1, "cut at call %d", n)
			if cut {
				require.Less(t, n, 40)
			} else {
				require.Greater(t, n, 11, "6 records, and the steps of a rotation")
			}
		}
	}
}

// onHead calls a function at each line about a head.
type onHead struct {
	slog.Handler
	do func()
}

func (h onHead) Enabled(context.Context, slog.Level) bool { return true }

func (h onHead) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "audit head" {
		h.do()
	}
	return nil
}

// TestAToldHeadIsDurable: a power cut takes no record back that another machine knows of.
func TestAToldHeadIsDurable(t *testing.T) {
	r := newRig(t, t.TempDir())
	volatile, told := false, 0
	r.io.write = func(f *os.File, b []byte) (int, error) { volatile = true; return f.Write(b) }
	r.io.sync = func(f *os.File) error {
		if strings.HasSuffix(f.Name(), ".log") {
			volatile = false
		}
		return nil
	}
	r.cfg.Log = slog.New(onHead{slog.DiscardHandler, func() {
		told++
		require.False(t, volatile, "head %d", told)
	}})
	r.signLevels(1, 3)
	r.now = r.now.Add(headEvery)
	r.signLevels(4, 5).end()
	require.Equal(t, 3, told, "at the start, after an hour, at the end")
}
