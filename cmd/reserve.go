package cmd

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
)

// reserved is a new file with durable room for what will be written to it. It is made before something is given away that only the file
// will hold.
type reserved struct {
	path string
	file *os.File
}

// reserve makes the file, with room for size bytes. When that fails, there is no file.
func reserve(path string, size int) (*reserved, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	r := &reserved{path, f}
	_, err = f.Write(bytes.Repeat([]byte{' '}, size)) // blocks, not a hole
	if err = errors.Join(err, f.Sync()); err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, r.drop())
	}
	return r, nil
}

// fill writes the text in the room, durably, and gives back what is left of it.
func (r *reserved) fill(text []byte) error {
	_, err := r.file.WriteAt(text, 0)
	return errors.Join(err, r.file.Truncate(int64(len(text))), r.file.Sync(), r.file.Close())
}

// drop removes the file: nothing was given away.
func (r *reserved) drop() error { return errors.Join(r.file.Close(), os.Remove(r.path)) }
