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
	const file, dir, me = "/var/lib/highwater/marks.db", "/var/lib/highwater", 987654
	require.Equal(t, asTheUser(""), accessHint(place{path: file, owner: 987655}, me), "it is a user's without a name")
	require.Equal(t, asTheUser(""), accessHint(place{path: file, owner: -1}, me), "nobody knows whose it is")
	require.Equal(t, asTheUser(""), accessHint(place{path: file, owner: 0}, 0))
	if daemon := knownUser(1); daemon != "" {
		require.Equal(t, asTheUser(daemon), accessHint(place{path: file, owner: 1}, me))
		require.Contains(t, asTheUser(daemon), "sudo -u "+daemon+" ")
	}
	hint := accessHint(place{path: file, owner: 0}, me)
	require.Contains(t, hint, "belongs to root")
	require.Contains(t, hint, "sudo chown -R 987654: /var/lib/highwater/marks.db")
	require.Contains(t, hint, asTheUser(""))
	require.Equal(t, asTheUser(""), accessHint(place{path: dir, owner: 0, open: true}, me), "/etc is not to be given away")

	denied := func(path string) error {
		return fmt.Errorf("lock: %w", &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission})
	}
	above := t.TempDir()
	path := filepath.Join(above, "none", "file")
	require.Equal(t, place{path: above, owner: os.Getuid(), open: true}, nearest(path), "the directory above")
	require.Equal(t, accessHint(nearest(path), os.Geteuid()), AccessHint(denied(path)))
	require.Equal(t, AccessHint(denied(path)), (&Error{denied(path)}).HintText())
	require.Equal(t, asTheUser(""), AccessHint(errors.New("denied")))
}

// TestTheHintNamesTheClosedDirectory: to give away a file in a directory that nobody else may search helps nobody.
func TestTheHintNamesTheClosedDirectory(t *testing.T) {
	closed := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.WriteFile(closed, nil, 0o600)) // looking below it fails, and not since nothing is there
	at := nearest(filepath.Join(closed, "lock"))
	require.Equal(t, place{path: closed, owner: os.Getuid()}, at)
	at.owner = 0
	require.Contains(t, accessHint(at, 987654), "sudo chown -R 987654: "+closed+";")
}
