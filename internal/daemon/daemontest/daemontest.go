// Package daemontest runs a daemon in a test's own process.
package daemontest

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/store"
)

// Patience is how long a test waits for an expected event.
const Patience = 20 * time.Second

// Minimal is the smallest valid configuration.
const Minimal = `chain = "NetXnHfVqm9iesp"
[[device]]
name = "left"
kind = "ledger"
transport = "sim"
`

// WriteConfig writes a configuration into a new directory, and gives the path.
func WriteConfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "highwater.toml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Run runs a daemon of a configuration until the test ends.
func Run(t *testing.T, text string) *daemon.Daemon {
	t.Helper()
	cfg, err := config.Load(WriteConfig(t, "state_dir = \"state\"\n"+text))
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	d, err := daemon.New(t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	return d
}

// Within takes a value from a channel, in time.
func Within[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		require.Fail(t, "the daemon did not end")
		panic("unreachable")
	}
}
