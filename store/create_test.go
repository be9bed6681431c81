package store_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/store"
	"highwater/store/storetest"
)

func TestCreate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "state")
	_, err := tryOpen(dir)
	require.ErrorIs(t, err, store.ErrMissing)
	require.NoDirExists(t, dir, "opening creates nothing")

	require.NoError(t, store.Create(t.Context(), dir, at))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(dir, store.FileName))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the file and the lock: %v", entries)

	db := openDir(t, dir)
	require.Equal(t, hwm.Standby, db.Role().Role)
	require.Equal(t, at, db.Role().Since)
	rows, err := db.Rows()
	require.NoError(t, err)
	require.Empty(t, rows)
	require.Empty(t, db.Journal())
	checkFileOf(t, db)
}

func checkFileOf(t *testing.T, db *store.DB) {
	require.NoError(t, db.Close())
	checkFile(t, filepath.Dir(db.Path()))
}

func TestCreateNeverOverwrites(t *testing.T) {
	dir := newDir(t)
	path := filepath.Join(dir, store.FileName)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.ErrorIs(t, store.Create(t.Context(), dir, at), store.ErrExists)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)

	// Nor anything else that has this name.
	for name, put := range map[string]func(path string) error{
		"empty":     func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"directory": func(p string) error { return os.Mkdir(p, 0o700) },
		"dangling":  func(p string) error { return os.Symlink("nowhere", p) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, put(filepath.Join(dir, store.FileName)))
			require.ErrorIs(t, store.Create(t.Context(), dir, at), store.ErrExists)
		})
	}
}

// A creation that was cut short after any of its steps leaves no file, or a whole one; the next creation, or opening,
// goes well.
func TestCreationCutShort(t *testing.T) {
	whole := newDir(t)
	file, err := os.ReadFile(filepath.Join(whole, store.FileName))
	require.NoError(t, err)
	for name, leave := range map[string]func(dir string) error{
		"the directory alone": func(string) error { return nil },
		"the lock":            func(dir string) error { return os.WriteFile(filepath.Join(dir, "lock"), nil, 0o600) },
		"an empty temporary": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, store.FileName+".new"), nil, 0o600)
		},
		"half a temporary": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, store.FileName+".new"), file[:len(file)/2], 0o600)
		},
		"a whole temporary": func(dir string) error {
			return os.WriteFile(filepath.Join(dir, store.FileName+".new"), file, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, leave(dir))
			_, err := tryOpen(dir)
			require.ErrorIs(t, err, store.ErrMissing)
			require.NoError(t, store.Create(t.Context(), dir, at))
			require.NoFileExists(t, filepath.Join(dir, store.FileName+".new"))
			checkFileOf(t, openDir(t, dir))
		})
	}
	t.Run("both names", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, store.FileName)
		require.NoError(t, os.WriteFile(path, file, 0o600))
		require.NoError(t, os.Link(path, path+".new"))
		require.ErrorIs(t, store.Create(t.Context(), dir, at), store.ErrExists)
		checkFileOf(t, openDir(t, dir))
	})
}

// TestRefusedFiles has every kind of file that must not be taken for marks. Each refusal says what to do.
func TestRefusedFiles(t *testing.T) {
	seed := newDir(t)
	db := openDir(t, seed)
	storetest.Floor(t, db, 10, storetest.Key(1, tezos.Block))
	require.NoError(t, db.Close())
	good, err := os.ReadFile(filepath.Join(seed, store.FileName))
	require.NoError(t, err)
	patched := func(at int, b ...byte) []byte {
		out := append([]byte(nil), good...)
		copy(out[at:], b)
		return out
	}
	page := os.Getpagesize()
	for _, c := range []struct {
		name string
		file []byte
	}{
		{"empty", []byte{}},
		{"one byte", []byte{0}},
		{"zero-filled", make([]byte, len(good))},
		{"text", []byte(strings.Repeat("watermarks ", 4000))},
		{"a SQLite file", append([]byte("SQLite format 3\x00"), make([]byte, 65536)...)},
		{"cut inside the first header", good[:40]},
		{"cut after the first page", good[:page]},
		{"cut after the headers", good[:2*page]},
		{"first header zeroed", patched(0, make([]byte, page)...)},
		{"second header zeroed", patched(page, make([]byte, page)...)},
		{"first header torn", patched(40, 0xff)},
		{"second header torn", patched(page+60, 0xff, 0xff)},
		{"a page size of nothing", patched(24, 0, 0, 0, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, store.FileName)
			require.NoError(t, os.WriteFile(path, c.file, 0o600))
			_, err := tryOpen(dir)
			requireDistrust(t, err, hwm.ErrCorrupt)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, c.file, after, "a file that is refused is not touched")
			require.ErrorIs(t, store.Create(t.Context(), dir, at), store.ErrExists)
		})
	}
	for n := 3 * page; n < len(good); n += page {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, store.FileName), good[:n], 0o600))
		if db, err := tryOpen(dir); err == nil { // what lies behind the last page in use may be missing
			st, serr := db.State(storetest.Key(1, tezos.Block))
			require.NoError(t, errors.Join(serr, db.Close()))
			require.Equal(t, int32(10), st.Mark.Level)
		}
	}
}

// requireDistrust wants the error of a file that cannot be trusted, with its cause and a hint.
func requireDistrust(t *testing.T, err, cause error) {
	t.Helper()
	require.ErrorIs(t, err, cause)
	var untrusted *store.UntrustedError
	require.ErrorAs(t, err, &untrusted)
	requireHint(t, err)
}

func requireHint(t *testing.T, err error) string {
	t.Helper()
	var hinter hints.Hinter
	require.ErrorAs(t, err, &hinter)
	require.NotEmpty(t, hinter.HintText())
	return hinter.HintText()
}

func TestRefusedModes(t *testing.T) {
	dir := newDir(t)
	path := filepath.Join(dir, store.FileName)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o606, 0o644, 0o601} {
		require.NoError(t, os.Chmod(path, mode))
		_, err := tryOpen(dir)
		var me *store.ModeError
		require.ErrorAs(t, err, &me)
		require.Equal(t, mode, me.Mode)
		require.Equal(t, "chmod 600 "+path, requireHint(t, err))
	}
	require.NoError(t, os.Chmod(path, 0o600))
	openDir(t, dir)
}

func TestRefusedKindsOfFile(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, store.FileName), 0o700))
	_, err := tryOpen(dir)
	requireDistrust(t, err, hwm.ErrCorrupt)
}

// TestPipeIsNoDatabase: opening one would wait for a writer for ever.
func TestPipeIsNoDatabase(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, store.FileName), 0o600))
	_, err := store.Open(t.Context(), dir, store.Options{})
	require.ErrorIs(t, err, hwm.ErrCorrupt)
	require.ErrorContains(t, err, "not a regular file")
}
