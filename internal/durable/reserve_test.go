package durable

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReserve(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "certificate.json")
	r, err := Reserve(path, 5000)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, int64(5000), info.Size(), "room, before anything is given away")
	_, err = Reserve(path, 1)
	require.ErrorIs(t, err, os.ErrExist)
	require.NoError(t, r.Fill([]byte("text")))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "text", string(text))

	other := filepath.Join(dir, "other")
	r, err = Reserve(other, 10)
	require.NoError(t, err)
	require.NoError(t, r.Drop())
	require.NoFileExists(t, other)
	_, err = Reserve(filepath.Join(dir, "no such directory", "file"), 10)
	require.ErrorIs(t, err, os.ErrNotExist)
}
