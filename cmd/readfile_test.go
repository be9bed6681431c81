package cmd

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/hints"
)

// What is no file of a reasonable length is refused at once: nothing is waited for, or read without end.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("file"), []byte("0123456789"), 0o600))
	text, err := readFile(at("file"), 10, "a number")
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(text))

	_, err = readFile(at("file"), 9, "a number")
	require.EqualError(t, err, at("file")+" has 10 bytes, more than 9: that is not a number")
	_, err = readFile(at("nothing"), 10, "a number")
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, syscall.Mkfifo(at("pipe"), 0o600))
	require.NoError(t, os.Symlink("/dev/zero", at("zero")))
	for name, kind := range map[string]string{"pipe": "a pipe", "zero": "a device", ".": "a directory"} {
		_, err = readFile(at(name), 10, "a number")
		require.ErrorContains(t, err, " is "+kind+", not a file")
		require.NotEmpty(t, hints.Of(err))
	}
}

// Every command that reads a file reads it so.
func TestCommandsReadFiles(t *testing.T) {
	path := writeConfig(t, "state_dir = \"s\"\n"+minimalConfig)
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
