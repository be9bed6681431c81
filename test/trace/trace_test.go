// Package trace watches the system calls of a real process: what no test inside of a process can see is whether the
// kernel was told.
package trace_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	_ "highwater/cmd" // what is built and run here: Go's cache of results must know of it
	"highwater/internal/baker"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// ghost is a test chain: emulated devices refuse the mainnet's.
var ghost = tezos.ChainID{1, 2, 3, 4}

// TestSignatureLeavesAfterTheSync signs once and reads what the kernel was asked: the marks' pages are written,
// fdatasync returns, the header that makes them valid is written, fdatasync returns, and only then the answer with the
// signature is written to its socket.
func TestSignatureLeavesAfterTheSync(t *testing.T) {
	_, err := exec.LookPath("strace")
	require.NoError(t, err, "this test needs strace: `make test` installs it, or scripts/install-deps.sh strace")
	d := startTraced(t, harness.Store{Unknown: true})
	payload := baker.Step{Chain: ghost, Kind: tezos.Block, Level: 20}.Payload(tezos.Ed25519)
	signature := d.sign(t, payload)
	d.stop(t)

	calls := readTrace(t, d.trace)
	digest := tezos.Digest(payload)
	db := filepath.Join(d.state, "marks.db")
	answer := one(t, calls, "the answer",
		func(c call) bool { return c.name == "write" && strings.Contains(c.args, signature) })
	require.Contains(t, answer.args, "HTTP/1.1 200 OK")

	data := one(t, before(calls, answer), "the marks' page", func(c call) bool {
		return c.name == "pwrite64" && c.file == db && c.offset > header2() && strings.Contains(c.args, escaped(digest[:]))
	})
	header := one(t, calls, "the header", func(c call) bool {
		return c.name == "pwrite64" && c.file == db && c.offset <= header2() && c.start > data.end && c.end < answer.start
	})
	synced := func(after, before call, what string) call {
		t.Helper()
		return one(t, calls, "the sync of "+what, func(c call) bool {
			return c.name == "fdatasync" && c.file == db && c.result == "0" && c.start > after.end && c.end < before.start
		})
	}
	synced(data, header, "the pages, before the header")
	last := synced(header, answer, "the header, before the answer")
	for _, c := range calls { // a next transaction may begin before the answer is written
		if c.name == "pwrite64" && c.file == db && c.offset > header2() && c.start > data.start && c.start < last.start {
			require.Less(t, c.end, header.start, "a page was written after the header")
		}
	}
}

// TestASignatureUnderAHorizon signs at two levels and reads what the kernel was asked. The second answer waits for no
// sync: the transaction with the horizon had ended before it was asked for. Its exact mark is written to the runtime
// file, on a tmpfs, before the answer is.
func TestASignatureUnderAHorizon(t *testing.T) {
	_, err := exec.LookPath("strace")
	require.NoError(t, err, "this test needs strace: `make test` installs it, or scripts/install-deps.sh strace")
	shm, err := os.MkdirTemp("/dev/shm", "hw")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(shm)) })
	d := startTraced(t, harness.Store{Ahead: 1, Runtime: shm})
	d.sign(t, baker.Step{Chain: ghost, Kind: tezos.Block, Level: 20}.Payload(tezos.Ed25519))
	payload := baker.Step{Chain: ghost, Kind: tezos.Block, Level: 21}.Payload(tezos.Ed25519)
	signature := d.sign(t, payload)
	left, err := filepath.Glob(filepath.Join(shm, "marks-*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	d.stop(t)
	require.NoFileExists(t, left[0], "it outlives an end in order")

	calls := readTrace(t, d.trace)
	digest := tezos.Digest(payload)
	db := filepath.Join(d.state, "marks.db")
	answer := one(t, calls, "the answer",
		func(c call) bool { return c.name == "write" && strings.Contains(c.args, signature) })
	record := one(t, before(calls, answer), "the record", func(c call) bool {
		return c.name == "pwrite64" && c.file == left[0] && strings.Contains(c.args, escaped(digest[:]))
	})
	level := escaped([]byte{0, 0, 0, 21}) // of a horizon's record, behind its version
	horizon := one(t, before(calls, record), "the page with the horizon", func(c call) bool {
		return c.name == "pwrite64" && c.file == db && c.offset > header2() && strings.Contains(c.args, `\x01`+level)
	})
	header := one(t, before(calls, record), "the header of its transaction", func(c call) bool {
		return c.name == "pwrite64" && c.file == db && c.offset <= header2() && c.start > horizon.end
	})
	one(t, before(calls, record), "the sync of that header", func(c call) bool {
		return c.name == "fdatasync" && c.file == db && c.result == "0" && c.start > header.end
	})
	one(t, calls, "the exact mark, later", func(c call) bool {
		return c.name == "pwrite64" && c.file == db && strings.Contains(c.args, escaped(digest[:]))
	})
	for _, c := range calls {
		require.False(t, (c.name == "fsync" || c.name == "fdatasync") && c.file == left[0], "the runtime file is synced")
	}
}

// TestStartReadsWhatIsOnTheDisk: before the file is read, all that a process that was killed may have left in the page
// cache is synced, and what the cache holds is dropped, since pages whose writing failed stay there. So is its name,
// which a creation that was killed, or who moved a file there, may have left in memory only.
func TestStartReadsWhatIsOnTheDisk(t *testing.T) {
	d := startTraced(t, harness.Store{Unknown: true})
	d.stop(t)
	calls := readTrace(t, d.trace)
	db := filepath.Join(d.state, "marks.db")
	of := func(name string) func(call) bool {
		return func(c call) bool { return c.name == name && c.file == db && c.result != "-1" }
	}
	synced, dropped, read := one(t, calls, "a sync", of("fsync")), one(t, calls, "the cache dropped", of("fadvise64")),
		one(t, calls, "a read", of("pread64"))
	require.Contains(t, dropped.args, "POSIX_FADV_DONTNEED")
	require.Less(t, synced.end, dropped.start)
	require.Less(t, dropped.end, read.start)
	name := one(t, calls, "a sync of the directory",
		func(c call) bool { return c.name == "fsync" && c.file == d.state && c.result == "0" })
	require.Less(t, name.end, read.start)
}

// TestCreationIsOnTheDisk: a watermark file is synced whole before it gets its name, and its directory afterwards, and
// those above it as far as they were made for it.
func TestCreationIsOnTheDisk(t *testing.T) {
	base := t.TempDir()
	binary, file, trace := filepath.Join(base, "highwater"), filepath.Join(base, "config.toml"),
		filepath.Join(base, "trace")
	above := filepath.Join(base, "var", "lib")
	dir := filepath.Join(above, "state")
	run(t, "go", "build", "-o", binary, "highwater/cmd/highwater")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, config, dir, ghost, harness.Address(t), harness.Socket(base)),
		0o600))
	run(t, "strace", "-f", "-y", "-x", "-o", trace, "-e", "trace=pwrite64,linkat,fdatasync,fsync", binary, "init", "--yes",
		"--store-only", "--config", file)
	calls, fresh := readTrace(t, trace), filepath.Join(dir, "marks.db.new")
	named := one(t, calls, "the file's name", func(c call) bool {
		return c.name == "linkat" && c.result == "0" && strings.Contains(c.args, `"`+filepath.Join(dir, "marks.db")+`"`)
	})
	written := call{}
	for _, c := range before(calls, named) {
		if c.name == "pwrite64" && c.file == fresh {
			written = c
		}
	}
	require.NotEmpty(t, written.name, "the trace does not show what is written")
	one(t, before(calls, named), "a sync of the file, after the last write and before its name", func(c call) bool {
		return (c.name == "fdatasync" || c.name == "fsync") && c.file == fresh && c.result == "0" && c.start > written.end
	})
	for _, of := range []string{dir, above, filepath.Dir(above), base} {
		one(t, calls, "a sync of "+of+" after that", func(c call) bool {
			return c.name == "fsync" && c.file == of && c.result == "0" && c.start > named.end
		})
	}
}

// header2 is where the second header lies; pages with marks come behind it.
func header2() int64 { return int64(os.Getpagesize()) }

// escaped is how strace prints bytes of which some are not text.
func escaped(b []byte) string {
	var s strings.Builder
	for _, c := range b {
		fmt.Fprintf(&s, `\x%02x`, c)
	}
	return s.String()
}

// call is a system call that has returned. Start and end are line numbers of the trace: the order in which strace saw
// them.
type call struct {
	name, args, file, result string
	offset                   int64
	start, end               int
}

var (
	lineHead    = regexp.MustCompile(`^(\d+) +(.*)$`)
	lineWhole   = regexp.MustCompile(`^(\w+)\((.*)\) += (-?\d+)`)
	lineBegun   = regexp.MustCompile(`^(\w+)\((.*) <unfinished \.\.\.>$`)
	lineResumed = regexp.MustCompile(`^<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)`)
	firstFile   = regexp.MustCompile(`^\d+<([^>]*)>`)
	lastNumber  = regexp.MustCompile(`, (\d+)$`)
)

// readTrace pairs the halves of calls that another thread's came between.
func readTrace(t *testing.T, path string) (calls []call) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	begun := map[string]call{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for n := 1; lines.Scan(); n++ {
		head := lineHead.FindStringSubmatch(lines.Text())
		if head == nil {
			continue
		}
		thread, rest := head[1], head[2]
		if m := lineBegun.FindStringSubmatch(rest); m != nil {
			begun[thread] = call{name: m[1], args: m[2], start: n}
		} else if m := lineResumed.FindStringSubmatch(rest); m != nil {
			c := begun[thread]
			c.args, c.result, c.end = c.args+m[2], m[3], n
			calls = append(calls, complete(c))
		} else if m := lineWhole.FindStringSubmatch(rest); m != nil {
			calls = append(calls, complete(call{name: m[1], args: m[2], result: m[3], start: n, end: n}))
		}
	}
	require.NoError(t, lines.Err())
	require.NotEmpty(t, calls, "strace saw nothing: is ptrace permitted here?")
	return calls
}

func complete(c call) call {
	if m := firstFile.FindStringSubmatch(c.args); m != nil {
		c.file = m[1]
	}
	if m := lastNumber.FindStringSubmatch(c.args); m != nil && c.name == "pwrite64" {
		_, _ = fmt.Sscan(m[1], &c.offset)
	}
	return c
}

func before(calls []call, limit call) (out []call) {
	for _, c := range calls {
		if c.end < limit.start {
			out = append(out, c)
		}
	}
	return out
}

// one gives the first call of which something is true.
func one(t *testing.T, calls []call, what string, is func(call) bool) call {
	t.Helper()
	for _, c := range calls {
		if is(c) {
			return c
		}
	}
	require.Fail(t, "the trace does not show "+what)
	return call{}
}

// daemon is `highwater serve` under strace, with an emulated Ledger.
type daemon struct {
	*harness.Daemon
	state, trace string
}

const config = `state_dir = %q
chain = %q
[server]
listen = %q
known_keys = true
[admin]
socket = %q
[[device]]
name = "left"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "a seed of the tests"
`

func startTraced(t *testing.T, store harness.Store) *daemon {
	t.Helper()
	base, err := os.MkdirTemp("", "hw") // short: a socket's path is
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(base)) })
	d := &daemon{state: filepath.Join(base, "state"), trace: filepath.Join(base, "trace")}
	binary, octez := filepath.Join(base, "highwater"), harness.Address(t)
	run(t, "go", "build", "-o", binary, "highwater/cmd/highwater")
	d.Daemon, err = harness.Make(harness.Options{
		Binary: binary, Dir: base, Store: store, Octez: octez, Keys: 1,
		Config: fmt.Sprintf(config, d.state, ghost, octez, harness.Socket(base)),
	})
	require.NoError(t, err)
	for _, args := range [][]string{{"init", "--yes"}, {"activate", "--yes", "--level", "10"}} {
		_, err = d.Command(t.Context(), args...)
		require.NoError(t, err)
	}
	require.NoError(t, d.StartUnder("strace", "-f", "-y", "-x", "-s", "65536", "-o", d.trace,
		"-e", "trace=pread64,fadvise64,pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync"))
	t.Cleanup(func() { _ = d.EndAnyhow() })
	require.NoError(t, d.Await(t.Context(), func(context.Context) bool {
		return strings.Contains(d.Output(), "msg=started")
	}))
	return d
}

func run(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	require.NoError(t, err, "%s %s: %s", filepath.Base(name), args, &errs)
	return out
}

func (d *daemon) sign(t *testing.T, payload []byte) (signature string) {
	t.Helper()
	keys, err := d.Keys(t.Context())
	require.NoError(t, err)
	client := d.Client(false)
	defer client.Close()
	sig, err := client.SignOnly(t.Context(), keys[0], payload)
	require.NoError(t, err)
	return sig.String()
}

// stop ends the daemon in an orderly way: strace hands no signals on, so its child gets them.
func (d *daemon) stop(t *testing.T) {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", d.PID(), d.PID()))
	require.NoError(t, err)
	var pid int
	_, err = fmt.Sscan(string(children), &pid)
	require.NoError(t, err)
	require.NoError(t, unix.Kill(pid, unix.SIGTERM))
	require.NoError(t, d.AwaitExit(t.Context(), 0))
}
