package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"highwater/internal/hints"
)

// Read reads a regular file of at most limit bytes. A longer file is an error. A pipe or a device is an error too: a
// pipe may never be written to, and some devices never end. The noun is the expected content, for the error: "a
// certificate".
func Read(path string, limit int64, noun string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	text, err := readRegular(f, path, limit, noun)
	return text, errors.Join(err, f.Close())
}

func readRegular(f *os.File, path string, limit int64, noun string) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		kind, hint := kindOf(info.Mode()), "save "+noun+" as a file, and name the file"
		if info.IsDir() {
			hint = "name the file in the directory"
		}
		return nil, hints.Add(fmt.Errorf("%s is %s, not a file", path, kind), hint)
	}
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s is not %s: %d bytes, more than %d", path, noun, max(info.Size(), limit+1), limit)
	}
	return text, nil
}

func kindOf(mode fs.FileMode) string {
	switch mode.Type() {
	case fs.ModeDir:
		return "a directory"
	case fs.ModeNamedPipe:
		return "a pipe"
	default:
		return "a device"
	}
}
