//go:build usblab

package usb_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// usage is what the daemon holds; memory in KiB.
type usage struct {
	files, threads, goroutines int
	anonymous                  int // all resident memory that is not a file's
	inuse                      int // of it, Go's heap
	resident                   int
}

func (u usage) String() string {
	return fmt.Sprintf("%d files, %d threads, %d goroutines, %d KiB resident, %d of them anonymous, of which Go uses %d",
		u.files, u.threads, u.goroutines, u.resident, u.anonymous, u.inuse)
}

// smallPages keeps the kernel from giving a thread two megabytes at once for the little of its stack that it uses: what
// a few threads more take would hide what leaks.
func smallPages(t *testing.T) {
	t.Helper()
	require.NoError(t, os.WriteFile("/sys/kernel/mm/transparent_hugepage/enabled", []byte("never"), 0o600))
}

// usage looks at the daemon from outside, and asks its monitor.
func (s *signerProcess) usage(metrics string) usage {
	s.t.Helper()
	dir := fmt.Sprintf("/proc/%d", s.process.PID())
	files, err := os.ReadDir(dir + "/fd")
	require.NoError(s.t, err)
	threads, err := os.ReadDir(dir + "/task")
	require.NoError(s.t, err)
	smaps, err := os.ReadFile(dir + "/smaps")
	require.NoError(s.t, err)
	resp, err := http.Get(metrics) //nolint:noctx // of this machine
	require.NoError(s.t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Body.Close())
	u := usage{files: len(files), threads: len(threads), goroutines: int(metric(s.t, body, "go_goroutines"))}
	u.inuse = int(metric(s.t, body, "go_memstats_heap_inuse_bytes")) >> 10
	name := ""
	for lines := bufio.NewScanner(bytes.NewReader(smaps)); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch {
		case !strings.HasSuffix(words[0], ":"):
			name = strings.Join(words[min(5, len(words)):], " ")
		case words[0] == "Rss:":
			n, err := strconv.Atoi(words[1])
			require.NoError(s.t, err)
			u.resident += n
			if !strings.HasPrefix(name, "/") {
				u.anonymous += n
			}
		}
	}
	return u
}

func metric(t *testing.T, body []byte, name string) float64 {
	t.Helper()
	_, rest, ok := strings.Cut("\n"+string(body), "\n"+name+" ")
	require.True(t, ok, name)
	text, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(text, 64)
	require.NoError(t, err)
	return v
}

// flat compares what the daemon held at each quarter of a storm: the first is for warming up (threads, the C library's
// arenas).
func flat(t *testing.T, use []usage) {
	t.Helper()
	for i, u := range use {
		t.Logf("at %d/%d: %s", i, len(use)-1, u)
	}
	first, last := use[1], use[len(use)-1]
	require.LessOrEqual(t, last.files, first.files+4)
	require.LessOrEqual(t, last.threads, first.threads+8)
	require.LessOrEqual(t, last.goroutines, first.goroutines+8)
	const slack = 8 << 10 // Go's heap may grow threefold between two collections
	require.LessOrEqual(t, float64(last.anonymous), float64(first.anonymous)*1.15+slack, "KiB of memory")
}
