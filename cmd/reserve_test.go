package cmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReserve(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "certificate.json")
	r, err := reserve(path, 5000)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, int64(5000), info.Size(), "room, before anything is given away")
	_, err = reserve(path, 1)
	require.ErrorIs(t, err, os.ErrExist)
	require.NoError(t, r.fill([]byte("text")))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))

	other := filepath.Join(dir, "other")
	r, err = reserve(other, 10)
	require.NoError(t, err)
	require.NoError(t, r.drop())
	require.NoFileExists(t, other)
	_, err = reserve(filepath.Join(dir, "no such directory", "file"), 10)
	require.ErrorIs(t, err, os.ErrNotExist)
}
