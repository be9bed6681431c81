package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// records splits a file into its records.
func records(t *testing.T, b []byte) (out [][]byte) {
	t.Helper()
	s := newScanner(bytes.NewReader(b))
	for at := int64(0); at < int64(len(b)); at = s.at {
		_, _, err := s.next()
		require.NoError(t, err)
		out = append(out, b[at:s.at])
	}
	return out
}

// rewritten is a file with its records changed, and all links made anew: the work of somebody who knows the format.
func rewritten(t *testing.T, b []byte, change func(records [][]byte) [][]byte) []byte {
	t.Helper()
	var out []byte
	s := newScanner(bytes.NewReader(b))
	_, first, err := s.next()
	require.NoError(t, err)
	h, err := readHeader(first)
	require.NoError(t, err)
	link := h.Before
	for _, r := range change(records(t, b)) {
		out, link = appendRecord(out, link, r[lengthLen], r[lengthLen+1:len(r)-checkLen])
	}
	return out
}

// swapped exchanges the last two decisions.
func swapped(r [][]byte) [][]byte {
	n := len(r)
	r[n-2], r[n-3] = r[n-3], r[n-2]
	return r
}

func TestTampering(t *testing.T) {
	for name, tamper := range map[string]struct {
		do   func(t *testing.T, dir string, files []string)
		want string
	}{
		"a bit of a record": {func(t *testing.T, _ string, files []string) {
			b := contents(t, files[1])
			b[len(b)/2] ^= 1
			require.NoError(t, os.WriteFile(files[1], b, 0o600))
		}, ""},
		"a record cut out of the middle": {func(t *testing.T, _ string, files []string) {
			r := records(t, contents(t, files[1]))
			require.NoError(t, os.WriteFile(files[1], bytes.Join(append(r[:5:5], r[6:]...), nil), 0o600))
		}, "does not fit"},
		"two records swapped": {func(t *testing.T, _ string, files []string) {
			require.NoError(t, os.WriteFile(files[1], bytes.Join(swapped(records(t, contents(t, files[1]))), nil), 0o600))
		}, "does not fit"},
		"a record put in twice": {func(t *testing.T, _ string, files []string) {
			r := records(t, contents(t, files[1]))
			require.NoError(t, os.WriteFile(files[1], bytes.Join(append(r[:6:6], r[5:]...), nil), 0o600))
		}, "does not fit"},
		"the end of a file cut off, at a record": {func(t *testing.T, _ string, files []string) {
			r := records(t, contents(t, files[1]))
			require.NoError(t, os.WriteFile(files[1], bytes.Join(r[:len(r)-2], nil), 0o600))
		}, "does not follow"},
		"the end of a file cut off, within a record": {func(t *testing.T, _ string, files []string) {
			b := contents(t, files[1])
			require.NoError(t, os.Truncate(files[1], int64(len(b)-3)))
		}, "ends within a record"},
		"a file emptied": {func(t *testing.T, _ string, files []string) {
			require.NoError(t, os.Truncate(files[1], 0))
		}, "empty"},
		"a file taken out": {func(t *testing.T, _ string, files []string) {
			require.NoError(t, os.Remove(files[1]))
		}, "does not follow"},
		"the oldest file taken out": {func(t *testing.T, _ string, files []string) {
			require.NoError(t, os.Remove(files[0]))
		}, "the log begins here"},
		"two files swapped": {func(t *testing.T, dir string, files []string) {
			aside := filepath.Join(dir, "x")
			require.NoError(t, os.Rename(files[0], aside))
			require.NoError(t, os.Rename(files[1], files[0]))
			require.NoError(t, os.Rename(aside, files[1]))
		}, "a different file by its header"},
		"a file written anew with right links": {func(t *testing.T, _ string, files []string) {
			b := rewritten(t, contents(t, files[1]), swapped)
			require.NoError(t, os.WriteFile(files[1], b, 0o600))
		}, "exchanged or cut"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			newRig(t, dir).signLevels(1, 100).end()
			files := paths(t, dir)
			require.Greater(t, len(files), 3)
			require.Empty(t, mustVerify(t, dir).Faults)
			tamper.do(t, dir, files)
			v := mustVerify(t, dir)
			require.NotEmpty(t, v.Faults)
			require.Contains(t, v.Faults[0].Text, tamper.want)
			require.NotZero(t, v.Faults[0].Record)
		})
	}
}

// TestAnOldFileReplayed: the file of an earlier moment, or of another log, in the place of today's.
func TestAnOldFileReplayed(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	r := newRig(t, dir).signLevels(1, 5)
	path := paths(t, dir)[0]
	old := contents(t, path)
	r.signLevels(6, 60).end()
	require.NoError(t, os.WriteFile(path, old, 0o600))
	require.Contains(t, mustVerify(t, dir).Faults[0].Text, "does not follow")

	newRig(t, other).signLevels(1001, 1060).end()
	require.NoError(t, os.WriteFile(path, contents(t, paths(t, other)[0]), 0o600))
	require.Contains(t, mustVerify(t, dir).Faults[0].Text, "does not follow")
}

// TestAKnownEnd: somebody who can write the files can make any log that agrees with itself, and none that agrees with an
// end that is known from elsewhere.
func TestAKnownEnd(t *testing.T) {
	dir := t.TempDir()
	newRig(t, dir).signLevels(1, 100).end()
	v := mustVerify(t, dir)
	known := Known{Record: v.Last, Link: v.Link}
	require.Empty(t, mustVerify(t, dir, known).Faults)
	require.Equal(t, []Known{known}, mustVerify(t, dir, known).Found)
	other := Known{Record: v.Last, Link: Hash{1}}
	both := mustVerify(t, dir, other, known)
	require.Contains(t, both.Faults[0].Text, "is another log")
	require.Equal(t, []Known{known}, both.Found, "of two heads at one record")
	files := paths(t, dir)
	last := files[len(files)-1]
	whole := contents(t, last)

	r := records(t, whole)
	require.NoError(t, os.WriteFile(last, bytes.Join(r[:len(r)-1], nil), 0o600))
	require.Empty(t, mustVerify(t, dir).Faults, "nothing in the log tells")
	require.Contains(t, mustVerify(t, dir, known).Faults[0].Text, "the end was cut off")

	require.NoError(t, os.Remove(last))
	require.Empty(t, mustVerify(t, dir).Faults)
	require.Contains(t, mustVerify(t, dir, known).Faults[0].Text, "the end was cut off")

	require.NoError(t, os.WriteFile(last, rewritten(t, whole, swapped), 0o600))
	require.Empty(t, mustVerify(t, dir).Faults)
	require.Contains(t, mustVerify(t, dir, known).Faults[0].Text, "written anew")

	require.NoError(t, os.WriteFile(last, whole, 0o600))
	newRig(t, dir).signLevels(101, 3000).end()
	require.Empty(t, mustVerify(t, dir).Faults)
	gone := mustVerify(t, dir, known)
	require.Contains(t, gone.Faults[0].Text, "was removed with the oldest files", "removed for the bound")
	require.Empty(t, gone.Found)
}

func TestALogOfALaterVersion(t *testing.T) {
	dir := t.TempDir()
	b, _ := appendRecord(nil, Hash{}, typeHeader, []byte(`{"version":2,"record":1,"before":"`+Hash{}.String()+`"}`))
	require.NoError(t, os.WriteFile(filepath.Join(dir, nameOf(1)), b, 0o600))
	require.Contains(t, mustVerify(t, dir).Faults[0].Text, "a newer highwater wrote it")
}

func TestNoLog(t *testing.T) {
	_, err := Verify(filepath.Join(t.TempDir(), "none"))
	require.ErrorContains(t, err, "no audit log is in")
}
