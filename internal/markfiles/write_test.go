package markfiles

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm/interchange"
)

// TestExportIsWholeOrNothing: when a later file cannot be written, none stays.
func TestExportIsWholeOrNothing(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "taken"), nil, 0o600))
	err := WriteNew(dir, []interchange.File{{Name: "first", Data: []byte("1")}, {Name: "taken/second", Data: []byte("2")}})
	require.ErrorContains(t, err, "nothing was exported")
	require.NoFileExists(t, filepath.Join(dir, "first"))

	require.NoError(t, os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "link")))
	require.ErrorContains(t, WriteNew(dir, []interchange.File{{Name: "link", Data: []byte("1")}}), "exists already")
	require.NoFileExists(t, filepath.Join(dir, "elsewhere"))
}
