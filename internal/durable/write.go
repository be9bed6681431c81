// Package durable reads the operator's files with a bound, and writes them with a sync.
package durable

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"highwater/internal/hints"
)

// MustBeNew refuses a path at which a file is already.
func MustBeNew(path string) error {
	if _, err := os.Stat(path); err == nil {
		return hints.Add(fmt.Errorf("%s exists already", path), "name another file")
	}
	return nil
}

// Create writes a new file, readable by its owner alone. Without an error, the file is on the disk. With an error,
// there is no file.
func Create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncDir(filepath.Dir(path))
}

// Replace puts a new text in a file. After a power cut the file holds the old text or the new text, and nothing else.
func Replace(path string, text []byte) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // a leftover of a run that was cut short
	}
	if err := Create(next, text); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
