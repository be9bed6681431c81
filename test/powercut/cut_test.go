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

	between int // cuts that came when an answer had left and its exact mark was not on the disk
	ahead   int // such answers
	within  int // cuts with levels ahead
}

// cutOften lets a signer work on a disk and cuts the power n times, each time at a random moment: the disk is cloned as
// the device has it, then the process is killed, the clone is mounted in the disk's place, and the signer starts again
// and is probed.
func cutOften(t *testing.T, d *disk, s signer, base string, keys, n int, aheads ...int32) (all tally) {
	t.Helper()
	h, _ := s.(*highwater)
	if h != nil {
		h.setAhead(aheads[0])
	}
	s.start()
	b := newBakery(t, base)
	defer b.client.Close()
	b.control = h != nil && h.binary == forgetful
	b.meet(keys)
	for i := range n {
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
			s.powerGoes()
		})
		wait()
		require.Empty(t, b.wrong, "while there was power")
		d.become(clone)
		if h != nil {
			all.look(readDisk(t, h.marks()), b, h.ahead)
			h.setAhead(aheads[(i+1)%len(aheads)])
		}
		s.start()
		before := all
		found := b.probe()
		require.Empty(t, found.stuck, "the next level is not signed, or the one above the horizon")
		all.doubles, all.lower = found.doubles, append(all.lower, found.lower...)
		if len(all.doubles) > len(before.doubles) || len(found.lower) > 0 {
			all.guilty++
		}
		all.cuts++
	}
	s.kill()
	d.check()
	all.signed = b.judge.Signed()
	t.Logf("%s: %d cuts, %d signatures, %d double signatures, %d below a mark, after %d of the cuts",
		d.fs, all.cuts, all.signed, len(all.doubles), len(all.lower), all.guilty)
	if all.within > 0 {
		t.Logf("%s: %d of %d cuts with levels ahead came between an answer and its exact mark on the disk: %d answers", d.fs,
			all.between, all.within, all.ahead)
	}
	return all
}

// look takes down what a disk has of the answers since the cut before, and tells the bakery of its horizons.
func (all *tally) look(disk onDisk, b *bakery, ahead int32) {
	b.horizons = disk.horizons
	for key, level := range disk.horizons {
		require.LessOrEqual(b.t, level, b.level+ahead, "the horizon of %s", key)
	}
	n := disk.ahead(b.answers)
	all.ahead += n
	if n > 0 {
		all.between++
	}
	if ahead > 0 {
		all.within++
	} else {
		require.Zero(b.t, n, "answers left before their marks were on the disk")
	}
}

// aheads are the numbers of levels ahead, one for each cut in turn.
var aheads = []int32{1, 2, 1, 0}

func diskName(fs string, cached bool) string {
	if cached {
		return fs + " cached"
	}
	return fs
}

// newDiskIn makes an outer file system and a disk in it, without a cache.
func newDiskIn(t *testing.T, fs string) *disk { return newDisk(newOuter(t), t, fs, false) }

// What was answered before the power was cut is neither signed again with other bytes, nor is anything below it, and
// what comes next is signed: on a disk that keeps whatever it was given, and on one with a cache, which forgets what it
// was not asked to flush.
func TestPowerCut(t *testing.T) {
	for _, cached := range []bool{false, true} {
		for _, fs := range fileSystems {
			t.Run(diskName(fs, cached), func(t *testing.T) {
				d := newDisk(newOuter(t), t, fs, cached)
				h := newHighwater(t, filepath.Join(d.at, "state"), devices)
				h.setUp()
				all := cutOften(t, d, h, h.base, 4, cuts, aheads...)
				require.Empty(t, all.doubles)
				require.Empty(t, all.lower)
				require.Greater(t, 2*all.between, all.within, "cuts between an answer and its exact mark are not most of the cuts")
			})
		}
	}
}

// The suite can see what it looks for, and takes away nothing else: a signer that renames without a sync fails, and
// with the syncs it passes. One that gives everything to the disk and never asks for a flush passes where the disk
// keeps what it is given, and fails with a cache.
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
					control := newControlProcess(t, d.at, way)
					all := cutOften(t, d, control, control.base, controlKeys, n)
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

// A program that forgets its horizons at the start must be found guilty, on each disk, and of something that the exact
// marks do not forbid.
func TestControlForgetsTheHorizon(t *testing.T) {
	for _, fs := range fileSystems {
		for _, cached := range []bool{false, true} {
			t.Run(diskName(fs, cached), func(t *testing.T) {
				d := newDisk(newOuter(t), t, fs, cached)
				h := newHighwater(t, filepath.Join(d.at, "state"), devices)
				h.setUp()
				h.binary = forgetful
				all := cutOften(t, d, h, h.base, 4, min(cuts, 4), 2)
				require.Positive(t, all.guilty, "cuts after which it signed twice")
				require.NotEmpty(t, all.doubles)
			})
		}
	}
}

// Killed after a commit was written and before it was synced, the signer finds that commit in the page cache when it
// starts again. It must not act on it before it is on the disk: with the power cut right after, the mark would be gone
// and its signature out.
//
// The first process has syncs that do nothing; what it signed counts as never released, as if it had been killed in the
// first of them.
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
					"-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e",
					"inject=fsync,fdatasync:retval=0",
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
				h.powerGoes()
			})
			d.become(clone)
			b.horizons = readDisk(t, h.marks()).horizons
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
		h.powerGoes()
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
