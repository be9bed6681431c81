package durable

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
)

// Room is a new file with durable room for a later text. A command makes the room before the right to sign is given
// away: only the file holds the right from then on.
type Room struct {
	path string
	file *os.File
}

// Reserve makes a file with room for size bytes. With an error, there is no file.
func Reserve(path string, size int) (*Room, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	r := &Room{path, f}
	_, err = f.Write(bytes.Repeat([]byte{' '}, size)) // blocks, not a hole
	if err = errors.Join(err, f.Sync()); err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return nil, errors.Join(err, r.Drop())
	}
	return r, nil
}

// Fill writes the text durably, and cuts the file to the length of the text.
func (r *Room) Fill(text []byte) error {
	_, err := r.file.WriteAt(text, 0)
	return errors.Join(err, r.file.Truncate(int64(len(text))), r.file.Sync(), r.file.Close())
}

// Drop removes the file.
func (r *Room) Drop() error { return errors.Join(r.file.Close(), os.Remove(r.path)) }
