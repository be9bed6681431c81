package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/store/disk"
	"highwater/store/pages"
)

// checkFile looks at the file before bbolt maps the file, and refuses a file that bbolt would repair or create.
func checkFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s", ErrMissing, path)
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &UntrustedError{path, fmt.Errorf("%w: not a regular file", hwm.ErrCorrupt)}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return &ModeError{path, info.Mode().Perm()}
	}
	f, err := os.Open(path) //nolint:gosec // the operator's own path; a regular file: opening does not wait
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // only read
	if err = disk.Settle(f); err != nil {
		return err
	}
	if err = disk.SyncDir(filepath.Dir(path)); err != nil { // the file's name must last
		return err
	}
	var failing *disk.Error
	if err = pages.Check(f, info.Size()); err == nil || errors.As(err, &failing) {
		return err
	}
	return &UntrustedError{path, err}
}

// UntrustedError says that a watermark file cannot be used as found.
type UntrustedError struct {
	Path string
	Err  error
}

func (e *UntrustedError) Error() string {
	return fmt.Sprintf("%s cannot be trusted: %v", e.Path, e.Err)
}

// Unwrap gives the cause.
func (e *UntrustedError) Unwrap() error { return e.Err }

// HintText is how to go on.
func (e *UntrustedError) HintText() string {
	if errors.Is(e.Err, hwm.ErrVersion) {
		return "a newer highwater wrote the file: use the newer version; " +
			"never delete the file to get an old version going"
	}
	return "stop the baker; move the file aside, and keep the file; then `highwater init --store-only`, " +
		"and set every key above all signed levels: " + hints.Level("highwater hwm set --all --level", 0)
}

// ModeError says that other users may read or write a file with a private key.
type ModeError struct {
	Path string
	Mode os.FileMode
}

func (e *ModeError) Error() string {
	return fmt.Sprintf("further users can read or write %s (mode %04o)", e.Path, e.Mode)
}

// HintText is the advice.
func (e *ModeError) HintText() string { return "chmod 600 " + e.Path }
