package durable

import (
	"os"
	"path/filepath"
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
	text, err := Read(at("file"), 10, "a number")
	require.NoError(t, err)
	require.Equal(t, "0123456789", string(text))

	_, err = Read(at("file"), 9, "a number")
	require.EqualError(t, err, at("file")+" is not a number: 10 bytes, more than 9")
	_, err = Read(at("nothing"), 10, "a number")
	require.ErrorIs(t, err, os.ErrNotExist)

	require.NoError(t, syscall.Mkfifo(at("pipe"), 0o600))
	require.NoError(t, os.Symlink("/dev/zero", at("zero")))
	for name, kind := range map[string]string{"pipe": "a pipe", "zero": "a device", ".": "a directory"} {
		_, err = Read(at(name), 10, "a number")
		require.ErrorContains(t, err, " is "+kind+", not a file")
		require.NotEmpty(t, hints.Of(err))
	}
}
