// Package disk knows the state directory as a disk keeps it: the lock, the place of a file, reads of synced content,
// and errors with advice.
package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"highwater/internal/hints"
)

// FileMode is the mode of every file in a state directory: the owner's alone.
const FileMode = 0o600

var (
	// ErrMissing is returned when a state directory has no database.
	ErrMissing = errors.New("the watermark file is missing")
	// ErrInUse is returned when another process holds the state directory.
	ErrInUse = errors.New("the state directory is in use")
)

// Settle makes sure that reads of a file give the content of the disk. A killed process may have left a commit in the
// page cache without a sync: a signer acting on the commit would rely on a mark that the next power cut takes back.
// Pages with a failed write stay in memory as if on the disk (fsync(2)); Settle drops the failed pages.
func Settle(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return dropCache(f)
}

// Error says that the disk or the file system under the state directory fails, with advice.
type Error struct{ Err error }

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// ReasonWord is the reason for programs.
func (e *Error) ReasonWord() string { return "store" }

// HintText is the advice.
func (e *Error) HintText() string {
	switch {
	case errors.Is(e.Err, ErrReplaced):
		return "stop highwater and find the cause. If the file was moved away, move the same file back. " +
			"Any copy is too old: before " +
			"highwater starts again, set every key above all signed levels: " + hints.Level("highwater hwm set --all --level", 0)
	case errors.Is(e.Err, unix.ENOSPC), errors.Is(e.Err, unix.EDQUOT):
		return "make room on the file system of the state directory (df), then restart highwater"
	case errors.Is(e.Err, unix.EROFS):
		return "the file system is read-only, as after an error of its disk: see dmesg; " +
			"make the file system writable, then restart highwater"
	case errors.Is(e.Err, os.ErrPermission):
		return AccessHint(e.Err)
	}
	return "see dmesg for the disk of the state directory; repair the disk, then restart highwater; " +
		"on a new disk, with a " +
		"copy of the files, first set every key above all signed levels: " + hints.Level("highwater hwm set --all --level", 0)
}

// Failing adds advice to a system's error about a file; other errors have their own.
func Failing(err error) error {
	var errno unix.Errno
	var advised interface{ HintText() string }
	if !errors.As(err, &errno) || errors.As(err, &advised) || errors.Is(err, ErrInUse) || errors.Is(err, ErrMissing) {
		return err
	}
	return &Error{err}
}

// SyncDir makes the names in a directory last.
func SyncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
