//go:build powercut

package powercut_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"highwater/internal/baker"
	"highwater/test/harness"
)

// signLevels asks for everything at the next n levels.
func (b *bakery) signLevels(n int) {
	b.t.Helper()
	b.power = true
	for range n {
		level := b.level + 1
		for _, key := range b.keys {
			require.True(b.t, b.bake(key, level), "%v", b.wrong)
		}
	}
}

// refusal asks for an attestation with one key, which must be refused, and gives the words.
func (b *bakery) refusal(level int32) string {
	b.t.Helper()
	b.level = max(b.level, level)
	err := b.ask(b.t.Context(), b.keys[0], baker.Step{Chain: chain, Kind: kinds[2], Level: level})
	var no *baker.Refusal
	require.ErrorAs(b.t, err, &no)
	require.Equal(b.t, http.StatusInternalServerError, no.Status, no.Text)
	return no.Text
}

// requireSound probes a signer whose fault is gone: nothing twice, nothing lower, and it goes on.
func (b *bakery) requireSound() {
	b.t.Helper()
	f := b.probe()
	require.Empty(b.t, f.doubles)
	require.Empty(b.t, f.lower)
	require.Empty(b.t, f.stuck)
}

// working is the program with some signatures made, its state in a directory.
func working(t *testing.T, state string) (*highwater, *bakery) {
	t.Helper()
	h := newHighwater(t, state, devices)
	h.setUp()
	h.start()
	b := newBakery(t, h.base)
	t.Cleanup(b.client.Close)
	b.meet(4)
	b.signLevels(3)
	h.settles(b.level)
	return h, b
}

// settles waits until no commit is under way after a level: each key's horizon has followed.
func (h *highwater) settles(level int32) {
	h.t.Helper()
	require.Eventually(h.t, func() bool {
		out, err := h.cmdline("hwm", "list", "--json").Output()
		var rows []struct{ Horizon int32 }
		if err != nil || json.Unmarshal(out, &rows) != nil || len(rows) == 0 {
			return false
		}
		for _, row := range rows {
			if row.Horizon != level+h.ahead {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond)
}

// A file that is not whole, not ours or not there: a refusal with advice, the file left as it is, and no new one. With
// the right file back, it goes on where it was.
func TestDamagedFile(t *testing.T) {
	h, b := working(t, filepath.Join(t.TempDir(), "state"))
	require.NoError(t, h.stop())
	page := os.Getpagesize()
	good, err := os.ReadFile(h.marks())
	require.NoError(t, err)
	zeroed := func(pages ...int) []byte {
		file := bytes.Clone(good)
		for _, p := range pages {
			clear(file[p*page : (p+1)*page])
		}
		return file
	}
	const untrusted, aside = "cannot be trusted", "move the file aside, and keep the file"
	for name, c := range map[string]struct {
		file        []byte // nil: none
		error, hint string
	}{
		"empty":           {[]byte{}, untrusted, aside},
		"truncated":       {good[:len(good)/2], untrusted, aside},
		"header only":     {good[:page], untrusted, aside},
		"first header":    {zeroed(0), untrusted, aside},
		"second header":   {zeroed(1), untrusted, aside},
		"all but headers": {append(bytes.Clone(good[:2*page]), make([]byte, len(good)-2*page)...), untrusted, aside},
		"foreign text":    {bytes.Repeat([]byte("watermarks of another program\n"), 2000), untrusted, aside},
		"foreign binary":  {append([]byte("\x7fELF"), good...), untrusted, aside},
		"missing":         {nil, "the watermark file is missing", "highwater init"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.Remove(h.marks()))
			if c.file != nil {
				require.NoError(t, os.WriteFile(h.marks(), c.file, 0o600))
			}
			requireRefusal(t, h, c.error, c.hint)
			after, err := os.ReadFile(h.marks())
			require.Equal(t, c.file == nil, errors.Is(err, os.ErrNotExist))
			require.True(t, bytes.Equal(c.file, after), "the file was changed")
			require.NoError(t, os.WriteFile(h.marks(), good, 0o600))
		})
	}
	h.start()
	b.requireSound()
}

// The errors and the advice that an operator reads.
const (
	poisoned   = "a commit to the watermark file failed: nothing is signed until a restart"
	ioError    = "input/output error"
	readOnly   = "read-only file system"
	full       = "no space left on device"
	adviceDisk = "see dmesg for the disk of the state directory"
	adviceRO   = "make the file system writable, then restart highwater"
	adviceFull = "make room on the file system of the state directory"
)

// exitDisk is the exit status of a daemon whose disk failed.
const exitDisk = 3

// requirePoisoned wants a request refused with the cause and the advice, and the process to end itself with its own
// status, saying both.
func requirePoisoned(t *testing.T, h *highwater, b *bakery, cause, advice string) {
	t.Helper()
	said := b.refusal(b.level + h.ahead + 1) // above the horizon
	require.Contains(t, said, poisoned)
	require.Contains(t, said, cause)
	require.Contains(t, said, advice)
	h.endsWith(exitDisk)
	require.Regexp(t, "(?m)^error: .*"+regexp.QuoteMeta(cause), h.output())
	require.Regexp(t, "(?m)^hint: .*"+regexp.QuoteMeta(advice), h.output())
	require.Contains(t, h.output(), "alarm=disk")
}

// requireRefusal wants it not to start, with the cause and the advice.
func requireRefusal(t *testing.T, h *highwater, cause, advice string) {
	t.Helper()
	said := h.refused()
	require.Regexp(t, "(?m)^error: .*"+regexp.QuoteMeta(cause), said)
	require.Regexp(t, "(?m)^hint: .*"+regexp.QuoteMeta(advice), said)
}

// The disk fails below the file system: nothing is signed any more, it does not start again on the broken disk, not
// even from what the page cache still has, and it goes on when the disk is back.
func TestIOError(t *testing.T) {
	for _, fs := range fileSystems {
		t.Run(fs, func(t *testing.T) {
			o := newOuter(t)
			d := newDisk(o, t, fs, false)
			h, b := working(t, filepath.Join(d.at, "state"))
			o.fail()
			requirePoisoned(t, h, b, ioError, adviceDisk)
			said := h.refused()
			require.Regexp(t, "(?m)^error: .*("+ioError+"|"+readOnly+")", said)
			require.Regexp(t, "(?m)^hint: .*("+adviceDisk+"|"+adviceRO+")", said)
			d.unplug()
			o.repair()
			d.plug()
			h.start()
			b.requireSound()
		})
	}
}

// A file system that is read-only, or becomes so, as one does after an error.
func TestReadOnly(t *testing.T) {
	for _, fs := range fileSystems {
		t.Run(fs, func(t *testing.T) {
			d := newDiskIn(t, fs)
			h, b := working(t, filepath.Join(d.at, "state"))
			if fs == "ext4" { // the one that can be made so while a file is open for writing
				run(t, "mount", "-o", "remount,abort", d.at)
				requirePoisoned(t, h, b, readOnly, adviceRO)
			}
			h.kill() // if it did not end
			d.unplug()
			d.plug("-o", "ro")
			requireRefusal(t, h, readOnly, adviceRO)
			d.unplug()
			d.plug()
			h.start()
			b.requireSound()
		})
	}
}

// A backup on a file system that is read-only from the start: it stays for its peer's questions, signs nothing, and
// ends, to be started anew, once the file system can be written. Alone it ends at once.
func TestReadOnlyBackup(t *testing.T) {
	for _, fs := range fileSystems {
		t.Run(fs, func(t *testing.T) {
			d := newDiskIn(t, fs)
			h := newHighwater(t, filepath.Join(d.at, "state"), devices)
			h.do("init", "--yes")
			d.unplug()
			d.plug("-o", "ro")
			requireRefusal(t, h, readOnly, adviceRO)
			d.unplug()
			d.plug()
			h.do("peer", "add", harness.Address(t), strings.Repeat("61", 32))
			d.unplug()
			d.plug("-o", "ro")
			h.launch()
			require.Eventually(t, func() bool {
				out, _ := h.cmdline("status").CombinedOutput() // until it listens
				return strings.Contains(string(out), "the state directory cannot be written")
			}, patience, 50*time.Millisecond)
			require.Contains(t, h.notReady(), readOnly)
			run(t, "mount", "-o", "remount,rw", d.at)
			h.endsWith(exitDisk)
			h.launch()
			require.Eventually(t, func() bool { status, _ := h.get(h.ready); return status != 0 }, patience, 50*time.Millisecond)
			require.NotContains(t, h.notReady(), readOnly)
			require.NoError(t, h.stop())
		})
	}
}

// fill fills a disk to the last byte.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	for size := 4 << 20; size > 0; size /= 4 {
		block := make([]byte, size)
		for err = nil; err == nil; {
			_, err = f.Write(block)
		}
		require.ErrorIs(t, err, unix.ENOSPC)
	}
	_ = f.Sync() // it may not fit either
}

// A full disk. ext4 and XFS overwrite in place, so it goes on signing, and what it signs is durable; btrfs needs room
// for every write, so nothing is signed. With room it goes on.
func TestFullDisk(t *testing.T) {
	for _, fs := range fileSystems {
		t.Run(fs, func(t *testing.T) {
			d := newDiskIn(t, fs)
			h, b := working(t, filepath.Join(d.at, "state"))
			ballast := filepath.Join(d.at, "ballast")
			fill(t, ballast)
			if fs == "btrfs" {
				requirePoisoned(t, h, b, full, adviceFull)
			} else {
				b.signLevels(5)
			}
			h.kill()
			if fs == "ext4" { // where not even the name of the lock's holder fits
				h.start()
				b.signLevels(5)
				h.kill()
			}
			require.NoError(t, os.Remove(ballast))
			h.start()
			b.requireSound()
		})
	}
}

// On a disk that is full from the start no watermark file is made, nor half of one.
func TestFullDiskAtTheStart(t *testing.T) {
	d := newDiskIn(t, "ext4")
	h := newHighwater(t, filepath.Join(d.at, "state"), devices)
	require.NoError(t, os.Mkdir(h.state, 0o700))
	ballast := filepath.Join(d.at, "ballast")
	fill(t, ballast)
	out, err := h.cmdline("init", "--yes").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), full)
	require.Contains(t, string(out), "hint: "+adviceFull)
	require.NoFileExists(t, h.marks())
	require.NoError(t, os.Remove(ballast))
	h.setUp()
	h.start()
}

// Yesterday's copy of the file is as good as any other to the store; a device that kept its mark tells, and the marks
// are raised to it before anything is signed.
func TestYesterdaysCopy(t *testing.T) {
	ledger := &process{t: t, log: filepath.Join(t.TempDir(), "ledger.log")}
	address := harness.Address(t)
	ledger.command = func() *exec.Cmd {
		return command(binary, "sim", "ledger", "--listen", address, "--seed", "a seed of the tests", "--accept")
	}
	ledger.launch()
	t.Cleanup(ledger.kill)
	require.Eventually(t, func() bool {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		return err == nil && c.Close() == nil
	}, patience, 10*time.Millisecond)
	h := newHighwater(t, filepath.Join(t.TempDir(), "state"), fmt.Sprintf(tcpLedger, address))
	h.do("init", "--yes")
	h.do("ledger", "setup", "--hwm", fmt.Sprint(firstFloor))
	h.do("activate", "--yes", "--level", fmt.Sprint(firstFloor))
	h.start()
	b := newBakery(t, h.base)
	defer b.client.Close()
	b.meet(1)
	b.signLevels(3)
	require.NoError(t, h.stop())
	yesterday, err := os.ReadFile(h.marks())
	require.NoError(t, err)
	h.start()
	b.signLevels(10)
	require.NoError(t, h.stop())
	require.NoError(t, os.WriteFile(h.marks(), yesterday, 0o600))
	h.start()
	b.requireSound()
	require.NoError(t, h.stop())
	require.Regexp(t, `level=WARN msg=.*ahead`, h.output())
}

const tcpLedger = `
[[device]]
name = "tz1"
kind = "ledger"
transport = "tcp://%s"
`
