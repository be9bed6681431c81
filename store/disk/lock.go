package disk

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// lockName is the lock file of the whole state directory: two processes on a directory sign twice.
const lockName = "lock"

// Lock is the lock of a state directory.
type Lock struct {
	file *os.File
	// ReadOnly is why the file could only be opened for reading; nil: the directory can be written.
	ReadOnly error
}

// OpenFile is os.OpenFile; a test's OpenFile has a read-only file system.
var OpenFile = os.OpenFile

// LockDir takes the directory's lock, waiting a little for a process that is about to end. With reading, a lock file
// from before is enough on a read-only file system, and the holder's name may be missing on a full one.
func LockDir(ctx context.Context, dir string, wait time.Duration, reading bool) (*Lock, error) {
	path := filepath.Join(dir, lockName)
	f, err := OpenFile(path, os.O_RDWR|os.O_CREATE, FileMode)
	var readOnly error
	if reading && errors.Is(err, unix.EROFS) {
		if lock, openErr := OpenFile(path, os.O_RDONLY, 0); openErr == nil {
			f, err, readOnly = lock, nil, err
		}
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: the directory does not exist", ErrMissing, dir)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if err := flock(ctx, f); err != nil {
		holder := readHolder(f)
		return nil, errors.Join(fmt.Errorf("%w: %s is held by %s", ErrInUse, dir, holder), ignoreLockBusy(err), f.Close())
	}
	if readOnly != nil {
		return &Lock{file: f, ReadOnly: readOnly}, nil
	}
	// the first commit tells of a full disk
	if err := writeHolder(f); err != nil && (!reading || !errors.Is(err, unix.ENOSPC)) {
		return nil, errors.Join(err, f.Close())
	}
	return &Lock{file: f}, nil
}

const lockPoll = 20 * time.Millisecond

func flock(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(lockPoll):
		}
	}
}

func ignoreLockBusy(err error) error {
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil
	}
	return err
}

// writeHolder leaves the process id for the error message of a second process; the lock itself is the kernel's.
func writeHolder(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
	return err
}

func readHolder(f *os.File) string {
	b := make([]byte, 32)
	n, _ := f.ReadAt(b, 0) // only for a message
	if pid := strings.TrimSpace(string(b[:n])); pid != "" {
		return "process " + pid
	}
	return "another process"
}

// Release lets the directory go.
func (l *Lock) Release() error { return l.file.Close() }
