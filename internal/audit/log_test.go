package audit

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

func TestADecisionComesBackWhole(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	r := newRig(t, dir)
	stop := r.running()
	r.Tell(signed(100))
	refused := Decision{
		At: r.now, PKH: key(2), Kind: tezos.Block, Level: 7, Round: 3, Client: "unix", Before: NoPlace, Verdict: "refused",
		Reason: "no_mark", Took: time.Hour,
	}
	r.Tell(refused)
	r.TellRole("standby at epoch 4")
	stop()
	all := rows(t, dir)
	require.Len(t, all, 5, "start, two decisions, the role, end")
	d := all[1].Decision
	require.Equal(t, signed(100).PKH.String(), d.PKH)
	require.Equal(t, tezos.Attestation, d.Kind)
	require.Equal(t, [2]int32{100, 1}, [2]int32{d.Level, d.Round})
	require.Equal(t, &Place{99, 0}, d.Before)
	require.Equal(t, &Place{100, 1}, d.After)
	require.Equal(t, []string{"signed", "", "left", "127.0.0.1"}, []string{d.Verdict, d.Reason, d.Device, d.Client})
	require.InDelta(t, 123, d.TookMS, 1e-9)
	require.Equal(t, "6409", d.Payload[:4])
	require.Len(t, d.Signed, 32)
	require.Equal(t, signed(100).At.UTC(), all[1].At)
	no := all[2].Decision
	require.Nil(t, no.Before)
	require.Nil(t, no.After)
	require.Empty(t, no.Signed)
	require.Equal(t, "no_mark", no.Reason)
	require.Equal(t, "standby at epoch 4", all[3].Event.Why)
	require.Equal(t, Ended, all[4].Event.What)
	v := mustVerify(t, dir)
	require.Empty(t, v.Faults)
	require.Empty(t, v.Notes)
	require.Equal(t, uint64(2), v.Decisions)
	require.Equal(t, Known{Record: v.Last, Link: v.Link}, Known{Record: r.State().Record, Link: r.State().Link})
}

func TestOnlyItsUserReadsTheLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "audit")
	newRig(t, dir).signLevels(1, 100).end()
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	for _, path := range paths(t, dir) {
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
}

// TestTellNeverWaits: nobody takes from the queue, as when the disk of the log hangs.
func TestTellNeverWaits(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir)
	r.cfg.MaxSize = 64 << 20
	told := make(chan struct{})
	go func() {
		defer close(told)
		for level := range int32(queued + 7) {
			r.Tell(signed(level))
		}
	}()
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Fatal("Tell waits")
	}
	require.Equal(t, uint64(7), r.lost.Load())
	r.running()()
	gaps := events(t, dir, Gap)
	require.Len(t, gaps, 1)
	require.Equal(t, uint64(7), gaps[0].Count)
	require.Contains(t, mustVerify(t, dir).Notes[0].Text, "gap of 7 decisions")
}

func TestARunGoesOnBehindTheLastRecord(t *testing.T) {
	dir := t.TempDir()
	newRig(t, dir).signLevels(1, 3).end()
	newRig(t, dir).signLevels(4, 5).end()
	require.Equal(t, []int32{1, 2, 3, 4, 5}, levels(t, dir))
	require.Len(t, paths(t, dir), 1)
	require.Empty(t, events(t, dir, Gap))
	require.Empty(t, mustVerify(t, dir).Faults)
}

func TestARunThatDidNotEndIsNamed(t *testing.T) {
	dir := t.TempDir()
	newRig(t, dir).signLevels(1, 3) // no end
	newRig(t, dir).signLevels(4, 5).end()
	gaps := events(t, dir, Gap)
	require.Len(t, gaps, 1)
	require.Contains(t, gaps[0].Why, "did not end in order")
	require.Empty(t, mustVerify(t, dir).Faults)
}

// TestATornEndIsKeptAside: a power cut leaves half a record, or zeros where records were.
func TestATornEndIsKeptAside(t *testing.T) {
	for name, tear := range map[string]func(b []byte) []byte{
		"half a record": func(b []byte) []byte { return b[:len(b)-5] },
		"zeros":         func(b []byte) []byte { return append(b, make([]byte, 4096)...) },
		"zeros inside":  func(b []byte) []byte { clear(b[len(b)-150:]); return b },
		"one byte":      func(b []byte) []byte { return append(b, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			newRig(t, dir).signLevels(1, 4)
			path := paths(t, dir)[0]
			before := tear(contents(t, path))
			require.NoError(t, os.WriteFile(path, before, 0o600))
			newRig(t, dir).signLevels(5, 5).end()
			v := mustVerify(t, dir)
			require.Empty(t, v.Faults)
			gaps := events(t, dir, Gap)
			require.Len(t, gaps, 1)
			kept := filepath.Join(dir, gaps[0].File)
			info, err := os.Stat(kept)
			require.NoError(t, err)
			require.Equal(t, gaps[0].Bytes, info.Size())
			require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
			require.Equal(t, before[len(before)-int(gaps[0].Bytes):], contents(t, kept))
			got := levels(t, dir)
			require.Equal(t, int32(5), got[len(got)-1])
			require.GreaterOrEqual(t, len(got), 3)
		})
	}
}

func TestAFileWithoutABeginningIsKeptAside(t *testing.T) {
	dir := t.TempDir()
	newRig(t, dir).signLevels(1, 3).end()
	next := mustVerify(t, dir).Last + 1
	require.NoError(t, os.WriteFile(filepath.Join(dir, nameOf(next)), make([]byte, 300), 0o600))
	newRig(t, dir).signLevels(4, 4).end()
	require.Equal(t, []int32{1, 2, 3, 4}, levels(t, dir))
	require.Empty(t, mustVerify(t, dir).Faults)
	require.Len(t, aside(t, dir), 1)
	require.Equal(t, int64(300), events(t, dir, Gap)[0].Bytes)
}

func TestRotationKeepsTheBound(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir).signLevels(1, 2000)
	var total int64
	files, err := list(dir, logName)
	require.NoError(t, err)
	for _, f := range files {
		total += f.size
	}
	require.LessOrEqual(t, total, int64(small))
	require.Greater(t, total, int64(small*3/4))
	require.GreaterOrEqual(t, r.synced, 2*len(files), "each full file, and the name of the next one")
	r.end()
	v := mustVerify(t, dir)
	require.Empty(t, v.Faults)
	require.Greater(t, v.First, uint64(1000))
	got := levels(t, dir)
	require.Equal(t, int32(2000), got[len(got)-1])
	for i := range got[1:] {
		require.Equal(t, got[i]+1, got[i+1])
	}
	require.NoError(t, os.Remove(files[0].path))
	require.Contains(t, mustVerify(t, dir).Faults[0].Text, "the log begins here", "nobody else removes the oldest file unseen")
}

// TestAFullDisk: decisions are lost and counted, and the log goes on when the disk takes it again.
func TestAFullDisk(t *testing.T) {
	for name, fill := range map[string]func(r *rig){
		"little is free": func(r *rig) { r.io.free = func(string) (uint64, error) { return reserve - 1, nil } },
		"no write": func(r *rig) {
			r.io.write = func(*os.File, []byte) (int, error) { return 0, errors.New("no space left on device") }
		},
		"half a write": func(r *rig) {
			r.io.write = func(f *os.File, b []byte) (int, error) {
				n, err := f.Write(b[:len(b)/2])
				return n, errors.Join(err, errors.New("no space left on device"))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			r := newRig(t, dir).signLevels(1, 3)
			good := r.io
			fill(r)
			r.signLevels(4, 8)
			require.NotEmpty(t, r.State().Fault)
			require.Equal(t, uint64(5), r.State().Lost)
			r.io = good
			r.put(signed(9)) // within the second before the next attempt
			r.now = r.now.Add(2 * time.Second)
			r.signLevels(10, 11)
			require.Empty(t, r.State().Fault)
			r.end()
			require.Equal(t, []int32{1, 2, 3, 10, 11}, levels(t, dir))
			gaps := events(t, dir, Gap)
			require.Len(t, gaps, 1)
			require.Equal(t, uint64(6), gaps[0].Count)
			require.Empty(t, mustVerify(t, dir).Faults)
			require.Empty(t, aside(t, dir))
		})
	}
}

// TestAFullDiskAtTheStart: the log begins once the disk takes it.
func TestAFullDiskAtTheStart(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir)
	good := r.io
	r.io.free = func(string) (uint64, error) { return 0, nil }
	r.signLevels(1, 2)
	r.io = good
	r.now = r.now.Add(2 * time.Second)
	r.signLevels(3, 3).end()
	require.Equal(t, []int32{3}, levels(t, dir))
	require.Len(t, events(t, dir, Started), 1)
	require.Equal(t, uint64(2), events(t, dir, Gap)[0].Count)
}

// TestAFloodFillsNothing: requests that no chain bounds have a share of the log; signatures have all of it.
func TestAFloodFillsNothing(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir)
	r.cfg.MaxSize = 64 << 20
	for i := range int32(1000) {
		stranger := Decision{At: r.now, PKH: key(byte(i)), Verdict: "refused", Reason: "unknown_key", Stranger: true}
		again := signed(50)
		again.At, again.Verdict, again.Moved = r.now, "replayed", false
		right := signed(i)
		right.At = r.now
		r.put(stranger, again, right)
	}
	r.end()
	count := map[string]int{}
	for _, row := range rows(t, dir) {
		if row.Decision != nil {
			count[row.Decision.Verdict]++
		}
	}
	require.Equal(t, map[string]int{"refused": perMinute, "replayed": perMinute, "signed": 1000}, count)
	var missing uint64
	gaps := events(t, dir, Gap)
	for _, g := range gaps {
		missing += g.Count
	}
	require.Equal(t, uint64(2*(1000-perMinute)), missing)
	require.LessOrEqual(t, len(gaps), 2)
}

func TestFilesThatGoDuringARunAreNamed(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir).signLevels(1, 3)
	require.NoError(t, os.Remove(paths(t, dir)[0]))
	r.io.write = func(*os.File, []byte) (int, error) { return 0, errors.New("an error") }
	r.signLevels(4, 4)
	r.io.write = realDisk.write
	r.now = r.now.Add(2 * time.Second)
	r.signLevels(5, 5).end()
	require.Contains(t, events(t, dir, Gap)[0].Why, "the files ended at 0")
	require.NotEmpty(t, mustVerify(t, dir).Faults)
}
