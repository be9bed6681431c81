package store

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"highwater/internal/hints"
)

// settle makes sure that reads of a file give the content of the disk. A killed process may have left a commit in the
// page cache that was never synced: acted upon, the commit would be a mark that the next power cut takes back. Pages
// with a failed write stay in memory as if on the disk (fsync(2)); settle drops such pages.
func settle(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return dropCache(f)
}

// DiskError says that the disk or the file system under the state directory fails, with advice.
type DiskError struct{ Err error }

func (e *DiskError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *DiskError) Unwrap() error { return e.Err }

// ReasonWord is the reason for programs.
func (e *DiskError) ReasonWord() string { return "store" }

// HintText is the advice.
func (e *DiskError) HintText() string {
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

// failing adds advice to a system's error about a file; other errors have their own.
func failing(err error) error {
	var errno unix.Errno
	var advised interface{ HintText() string }
	if !errors.As(err, &errno) || errors.As(err, &advised) || errors.Is(err, ErrInUse) || errors.Is(err, ErrMissing) {
		return err
	}
	return &DiskError{err}
}

// unreadable is the error of a read at an offset within the file.
func unreadable(err error, what string, args ...any) error {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return &DiskError{err}
	}
	return damaged("%s", fmt.Sprintf(what, args...))
}
