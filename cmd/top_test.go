package cmd

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"highwater/test/harness"
)

// shownOn collects what a program writes to its terminal.
type shownOn struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *shownOn) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *shownOn) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *shownOn) has(text string) func() bool {
	return func() bool { return strings.Contains(s.all(), text) }
}

// TestTopOnATerminal: on a real terminal the screen shows a real daemon, says that the daemon is gone, comes back with
// the daemon, ends by q with status 0, and leaves the terminal as it was.
func TestTopOnATerminal(t *testing.T) {
	p := newPage(t)
	m := p.machines["A"]
	p.run(m, "highwater init --yes")
	require.Contains(t, p.run(m, "highwater activate --level head+1 --yes"), "active")
	p.start(m)

	master, tty, err := pty.Open()
	require.NoError(t, err)
	require.NoError(t, pty.Setsize(master, &pty.Winsize{Rows: 30, Cols: 100}))
	var shown shownOn
	var reading sync.WaitGroup
	reading.Go(func() { _, _ = io.Copy(&shown, master) })
	defer reading.Wait()
	defer master.Close()
	defer tty.Close()
	before, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	require.NoError(t, err)

	c := exec.Command("highwater", "top") //nolint:noctx // ended by q
	c.Env = append(p.env(m), "TERM=xterm-256color")
	c.Stdin, c.Stdout, c.Stderr = tty, tty, tty
	require.NoError(t, c.Start())
	see := func(text string) { require.Eventually(t, shown.has(text), scriptPatience, 20*time.Millisecond, text) }
	see("May sign: this instance")
	see("■")
	p.halt(m, (*harness.Process).Stop)
	see("Connection lost since")
	p.start(m)
	_, err = master.WriteString("?")
	require.NoError(t, err)
	see("missed on chain")
	_, err = master.WriteString("q")
	require.NoError(t, err)
	require.NoError(t, c.Wait())
	see("\x1b[?1049l")
	require.NotRegexp(t, `\x1b\[([0-9;]*;)?3[0-7][;m]`, shown.all(), "NO_COLOR is set")
	after, err := unix.IoctlGetTermios(int(tty.Fd()), unix.TCGETS)
	require.NoError(t, err)
	require.Equal(t, *before, *after)
}

// TestTopWantsATerminal: without a terminal a hint names the command for scripts.
func TestTopWantsATerminal(t *testing.T) {
	var out, errs bytes.Buffer
	in, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer in.Close()
	require.Equal(t, exitFail, Main([]string{"top"}, in, &out, &errs))
	require.Empty(t, out.String())
	require.Equal(t, "error: highwater top needs a terminal\nhint: use: highwater status\n", errs.String())
}
