package cmd

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"highwater/internal/daemon/daemontest"

	"github.com/stretchr/testify/require"
)

// Every command that reads a file reads it so.
func TestCommandsReadFiles(t *testing.T) {
	path := daemontest.WriteConfig(t, "state_dir = \"s\"\n"+daemontest.Minimal)
	code, _, errs := run(t, "init", "--yes", "--config", path)
	require.Zero(t, code, errs)
	pipe := filepath.Join(t.TempDir(), "block_high_watermarks")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for _, args := range [][]string{
		{"hwm", "list", "--config", pipe},
		{"hwm", "import", "--config", path, pipe},
		{"bundle", "verify", "--config", path, pipe},
		{"accept", "--yes", "--config", path, "--in", pipe},
	} {
		code, _, errs := run(t, args...)
		require.Equal(t, 1, code, args)
		require.Contains(t, errs, "is a pipe, not a file", strings.Join(args, " "))
	}
}
