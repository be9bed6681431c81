package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// Names in the directory: a file is named by the number of its first record. Bytes at the end of a file that were no
// record are kept aside, named by the number that the next record got.
var (
	logName   = regexp.MustCompile(`^audit-(\d{16})\.log$`)
	asideName = regexp.MustCompile(`^audit-(\d{16})\.torn$`)
)

func nameOf(record uint64) string  { return fmt.Sprintf("audit-%016d.log", record) }
func asideOf(record uint64) string { return fmt.Sprintf("audit-%016d.torn", record) }

// file is a file of the log.
type file struct {
	path  string
	first uint64 // by its name
	size  int64
}

// list gives the files of a directory by their numbers, oldest first; none where there is no directory.
func list(dir string, pattern *regexp.Regexp) ([]file, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []file
	for _, e := range entries {
		m := pattern.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		first, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			return nil, err
		}
		out = append(out, file{filepath.Join(dir, e.Name()), first, info.Size()})
	}
	slices.SortFunc(out, func(a, b file) int { return slices.Compare([]uint64{a.first}, []uint64{b.first}) })
	return out, nil
}

func readHeader(body []byte) (header, error) {
	var h header
	if err := json.Unmarshal(body, &h); err != nil {
		return h, fmt.Errorf("unreadable header: %w", err)
	}
	if h.Version != version {
		return h, fmt.Errorf("version %d of the log: a newer highwater wrote it", h.Version)
	}
	return h, nil
}

// end is the state behind the last good record of a file.
type end struct {
	next    uint64 // number of the next record
	link    Hash
	at      int64    // length of the good part
	texts   []string // of the file
	inOrder bool     // the last record ends a run
	fault   error    // of the bytes behind; nil: none
}

// findEnd reads a file up to its last good record. The error is one of reading the disk.
func findEnd(f file) (e end, err error) {
	in, err := os.Open(f.path)
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	return endOf(in, f.first)
}

func endOf(in io.Reader, first uint64) (e end, err error) {
	s := newScanner(in)
	e.next = first
	for {
		kind, body, err := s.next()
		var bad *fs.PathError
		switch {
		case errors.Is(err, io.EOF):
			return e, nil
		case errors.As(err, &bad):
			return e, err
		case err != nil:
			e.fault = err // of the content: the caller judges
			return e, nil //nolint:nilerr // see above
		}
		e.next, e.link, e.at, e.inOrder = e.next+1, s.link, s.at, false
		switch kind {
		case typeName:
			e.texts = append(e.texts, string(body))
		case typeEvent:
			event, err := readEvent(body)
			e.inOrder = err == nil && event.What == Ended
		}
	}
}

// setAside moves the bytes from a place of a file on into a file of their own.
func (w *writer) setAside(f file, at int64, to string) (err error) {
	in, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode) //nolint:gosec // in our own directory
	if err != nil {
		return err
	}
	if _, err = io.Copy(out, io.NewSectionReader(in, at, f.size-at)); err == nil {
		err = w.io.sync(out)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return errors.Join(err, os.Remove(to))
	}
	return in.Truncate(at)
}

func (w *writer) syncDir() error {
	d, err := os.Open(w.cfg.Dir)
	if err != nil {
		return err
	}
	return errors.Join(w.io.sync(d), d.Close())
}
