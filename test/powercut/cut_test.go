//go:build powercut

package powercut_test

import (
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
)

// longest is how long there is power at most, under load.
const longest = 400 * time.Millisecond

// tally is what a series of cuts gave.
type tally struct {
	cuts, guilty, signed int
	doubles, lower       []string
}

// cutOften lets a signer work on a disk and cuts the power n times, each time at a random moment: the disk is cloned as the device has
// it, then the process is killed, the clone is mounted in the disk's place, and the signer starts again and is probed.
func cutOften(t *testing.T, d *disk, p *process, keys, n int) (all tally) {
	t.Helper()
	p.start()
	b := newBakery(t, p.base)
	defer b.client.Close()
	b.meet(keys)
	for range n {
		var clone string
		wait := b.load()
		select {
		case <-b.signed:
		case <-time.After(patience):
			require.FailNow(t, "nothing is signed", "%v", b.wrong)
		}
		<-time.After(rand.N(longest))
		b.cut(func() {
			clone = d.clone()
			p.kill()
		})
		wait()
		require.Empty(t, b.wrong, "while there was power")
		d.become(clone)
		p.start()
		before := all
		found := b.probe()
		require.Empty(t, found.stuck, "the next level is not signed")
		all.doubles, all.lower = found.doubles, append(all.lower, found.lower...)
		if len(all.doubles) > len(before.doubles) || len(found.lower) > 0 {
			all.guilty++
		}
		all.cuts++
	}
	p.kill()
	d.check()
	all.signed = b.judge.Signed()
	t.Logf("%s: %d cuts, %d signatures, %d double signatures, %d below a mark, after %d of the cuts",
		d.fs, all.cuts, all.signed, len(all.doubles), len(all.lower), all.guilty)
	return all
}

func diskName(fs string, cached bool) string {
	if cached {
		return fs + " cached"
	}
	return fs
}

// newDiskIn makes an outer file system and a disk in it, without a cache.
func newDiskIn(t *testing.T, fs string) *disk { return newDisk(newOuter(t), t, fs, false) }

// What was answered before the power was cut is neither signed again with other bytes, nor is anything below it, and what comes next
// is signed: on a disk that keeps whatever it was given, and on one with a cache, which forgets what it was not asked to flush.
func TestPowerCut(t *testing.T) {
	for _, cached := range []bool{false, true} {
		for _, fs := range fileSystems {
			t.Run(diskName(fs, cached), func(t *testing.T) {
				d := newDisk(newOuter(t), t, fs, cached)
				h := newHighwater(t, filepath.Join(d.at, "state"), devices)
				h.setUp()
				all := cutOften(t, d, &h.process, 4, cuts)
				require.Empty(t, all.doubles)
				require.Empty(t, all.lower)
			})
		}
	}
}

// The suite can see what it looks for, and takes away nothing else: a signer that renames without a sync fails, and with the syncs it
// passes. One that gives everything to the disk and never asks for a flush passes where the disk keeps what it is given, and fails with a cache.
func TestControl(t *testing.T) {
	for _, fs := range fileSystems {
		for _, cached := range []bool{false, true} {
			for _, way := range []string{renames, syncs, hands} {
				if way == hands && fs == "btrfs" {
					continue // it never overwrites in place: what it is given goes elsewhere, and where to only a sync tells
				}
				t.Run(diskName(fs, cached)+" "+way, func(t *testing.T) {
					d := newDisk(newOuter(t), t, fs, cached)
					n := min(cuts, 4)
					all := cutOften(t, d, newControlProcess(t, d.at, way), controlKeys, n)
					switch {
					case way == syncs, way == hands && !cached:
						require.Empty(t, all.doubles)
						require.Empty(t, all.lower)
					case way == hands: // innocent after a cut that happens to keep everything
						require.Positive(t, all.guilty, "cuts after which it signed twice")
						require.NotEmpty(t, all.doubles)
					default:
						require.Equal(t, n, all.guilty, "cuts after which it signed twice")
						require.NotEmpty(t, all.doubles)
					}
				})
			}
		}
	}
}

// Killed after a commit was written and before it was synced, the signer finds that commit in the page cache when it starts again. It
// must not act on it before it is on the disk: with the power cut right after, the mark would be gone and its signature out.
//
// The first process has syncs that do nothing; what it signed counts as never released, as if it had been killed in the first of them.
func TestKilledBeforeTheSync(t *testing.T) {
	for _, fs := range fileSystems {
		t.Run(fs, func(t *testing.T) {
			d := newDiskIn(t, fs)
			h, b := working(t, filepath.Join(d.at, "state"))
			require.NoError(t, h.stop())
			unsynced := *h
			unsynced.command = func() *exec.Cmd {
				c := h.cmdline("serve")
				return command("strace", append([]string{
					"-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:retval=0",
				}, c.Args...)...)
			}
			unsynced.start()
			b.level++
			var steps []baker.Step
			for _, kind := range kinds {
				step := baker.Step{Chain: chain, Kind: kind, Level: b.level}
				for _, key := range b.keys {
					_, err := b.client.Sign(t.Context(), key, step.Payload(key.Curve()))
					require.NoError(t, err)
				}
				steps = append(steps, step)
			}
			unsynced.kill()
			h.start()
			released := 0
			for _, key := range b.keys {
				for _, step := range steps {
					if b.signs(key, step, http.StatusConflict, http.StatusInternalServerError) {
						released++
					}
				}
			}
			require.Positive(t, released, "the same bytes are signed, or their signature given again")
			var clone string
			b.cut(func() {
				clone = d.clone()
				h.kill()
			})
			d.become(clone)
			h.start()
			b.requireSound()
		})
	}
}

// What a command has reported as done stays done.
func TestCutAfterCommand(t *testing.T) {
	for _, cached := range []bool{false, true} {
		for _, fs := range fileSystems {
			t.Run(diskName(fs, cached), func(t *testing.T) { testCutAfterCommand(t, fs, cached) })
		}
	}
}

func testCutAfterCommand(t *testing.T, fs string, cached bool) {
	d := newDisk(newOuter(t), t, fs, cached)
	h := newHighwater(t, filepath.Join(d.at, "state"), devices)
	cut := func() {
		clone := d.clone()
		h.kill()
		d.become(clone)
	}
	h.do("init", "--yes")
	cut()
	require.FileExists(t, h.marks())
	h.do("activate", "--yes", "--level", strconv.Itoa(firstFloor))
	cut()
	h.start()
	b := newBakery(t, h.base)
	defer b.client.Close()
	b.meet(4)
	const floor = firstFloor + 50
	h.do("hwm", "set", "--all", "--level", strconv.Itoa(floor))
	cut()
	h.start()
	b.power = true
	for _, key := range b.keys {
		require.False(t, b.signs(key, baker.Step{Chain: chain, Kind: kinds[2], Level: floor, Round: 1}, http.StatusConflict))
		require.True(t, b.signs(key, baker.Step{Chain: chain, Kind: kinds[2], Level: floor + 1}))
	}
	h.do("standby")
	cut()
	h.launch()
	require.Eventually(t, func() bool {
		status, _ := h.get(h.ready)
		return status == http.StatusServiceUnavailable
	}, patience, 10*time.Millisecond)
	require.Contains(t, h.notReady(), "role: standby")
}
