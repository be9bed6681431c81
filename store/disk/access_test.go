package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAccessHint: the user that serves is not told to run as the user that serves, when root left a file there.
func TestAccessHint(t *testing.T) {
	require.Equal(t, asTheUser, accessHint("/var/lib/highwater/marks.db", 1234, 4321), "it is another user's")
	require.Equal(t, asTheUser, accessHint("/var/lib/highwater/marks.db", -1, 4321), "nobody knows whose it is")
	hint := accessHint("/var/lib/highwater/marks.db", 0, 987654)
	require.Contains(t, hint, "belongs to root")
	require.Contains(t, hint, "sudo chown -R 987654: /var/lib/highwater/marks.db")
	require.Contains(t, hint, asTheUser)

	path := filepath.Join(t.TempDir(), "none", "file")
	require.Equal(t, os.Getuid(), owner(path), "of the directory above")
	denied := fmt.Errorf("lock: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission})
	require.Equal(t, accessHint(path, os.Getuid(), os.Geteuid()), AccessHint(denied))
	require.Equal(t, AccessHint(denied), (&Error{denied}).HintText())
	require.Equal(t, asTheUser, AccessHint(errors.New("denied")))
}
