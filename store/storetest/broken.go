package storetest

import (
	"os"
	"strconv"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// The files that Break puts in the place of a database.
const (
	NoSpace    = "/dev/full" // a write fails: ENOSPC
	FailedSync = "/dev/zero" // a write is taken, its sync fails: EINVAL
)

// Break puts a broken file in the place of the open file at path: each write then fails like a write to the broken
// file.
func Break(t require.TestingT, path, with string) {
	fds, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, fd := range fds {
		target, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err != nil || target != path {
			continue
		}
		n, err := strconv.Atoi(fd.Name())
		require.NoError(t, err)
		other, err := os.OpenFile(with, os.O_RDWR, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Dup3(int(other.Fd()), n, unix.O_CLOEXEC))
		require.NoError(t, other.Close())
		return
	}
	require.Fail(t, "the database is not open")
}
