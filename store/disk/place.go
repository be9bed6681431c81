package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrReplaced is returned when the database is no longer the file of the running process.
var ErrReplaced = errors.New("the watermark file was overwritten, replaced or removed in use")

// FileID tells a file on this boot from every other.
type FileID struct{ Device, Inode uint64 }

// Place is a file, and its size.
type Place struct {
	id   FileID
	size int64
}

// PlaceOf gives the file under a name. Of all file calls, a request under a horizon waits for PlaceOf only. os.Stat
// would make six allocations.
func PlaceOf(path string) (Place, error) {
	var st unix.Stat_t
	for {
		switch err := unix.Stat(path, &st); err {
		case nil:
			return Place{FileID{uint64(st.Dev), st.Ino}, st.Size}, nil //nolint:unconvert // narrower elsewhere
		case unix.EINTR:
		default:
			return Place{}, &os.PathError{Op: "stat", Path: path, Err: err}
		}
	}
}

// PlaceOfOpen gives the open file, under any name.
func PlaceOfOpen(f *os.File) (Place, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return Place{}, os.NewSyscallError("fstat", err)
	}
	return Place{FileID{uint64(st.Dev), st.Ino}, st.Size}, nil //nolint:unconvert // narrower elsewhere
}

// StillAt gives the file that is now under a name, if the file is the same. The error wraps ErrReplaced.
func (last Place) StillAt(path string) (Place, error) {
	now, err := PlaceOf(path)
	switch {
	case err != nil:
		return Place{}, fmt.Errorf("%w: %w", ErrReplaced, err)
	case now.id != last.id:
		return Place{}, fmt.Errorf("%w: %s is another file", ErrReplaced, path)
	case now.size < last.size:
		return Place{}, fmt.Errorf("%w: %s is cut from %d to %d bytes", ErrReplaced, path, last.size, now.size)
	}
	return now, nil
}
