package cli_test

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/terminal"
	"highwater/store"
	"highwater/store/disk"
)

const configuration = `state_dir = %q
chain = "NetXnHfVqm9iesp"
[[device]]
name = "left"
kind = "ledger"
transport = "sim"
`

// openings counts how often this process has a file open.
func openings(t *testing.T, path string) (n int) {
	t.Helper()
	const files = "/proc/self/fd/"
	entries, err := os.ReadDir(files)
	require.NoError(t, err)
	for _, entry := range entries {
		if target, err := os.Readlink(files + entry.Name()); err == nil && target == path {
			n++
		}
	}
	return n
}

// TestCommandBesideAStartingDaemon: a daemon that starts holds the state directory before the daemon listens. A command
// given in this moment, as in `highwater serve & highwater status`, waits and finds the daemon.
func TestCommandBesideAStartingDaemon(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	state := filepath.Join(dir, "state")
	file := filepath.Join(dir, "highwater.toml")
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, configuration, state), 0o600))
	require.NoError(t, store.Create(t.Context(), state, time.Now()))
	app := &cli.App{
		Terminal:   terminal.New(strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}),
		ConfigFlag: file,
	}
	cfg, err := config.Load(file)
	require.NoError(t, err)
	daemon, err := disk.LockDir(t.Context(), state, time.Second, false)
	require.NoError(t, err)
	defer func() { require.NoError(t, daemon.Release()) }()

	done := make(chan error, 1)
	go func() {
		_, _, found := app.Admin(t.Context(), cfg, false)
		done <- found
	}()
	require.Eventually(t, func() bool { return openings(t, filepath.Join(state, "lock")) > 1 }, 10*time.Second,
		time.Millisecond, "the command found no daemon, and opens the store")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", cfg.Admin.Socket)
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	require.NoError(t, <-done)
}
