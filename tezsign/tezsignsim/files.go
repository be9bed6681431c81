package tezsignsim

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// files is the gadget's card: small files by name, with at most one slash in a name.
type files interface {
	read(name string) ([]byte, error) // fs.ErrNotExist when the file is missing
	write(name string, content []byte) error
	remove(name string) error
	list(prefix string) ([]string, error) // of a folder, "keys/"; sorted
}

func openFiles(dir string) (files, error) {
	if dir == "" {
		return &memory{m: map[string][]byte{}}, nil
	}
	return folder(dir), os.MkdirAll(filepath.Join(dir, "keys"), 0o700)
}

type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (f *memory) read(name string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(b), nil
}

func (f *memory) write(name string, content []byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m[name] = bytes.Clone(content)
	return nil
}

func (f *memory) remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.m, name)
	return nil
}

func (f *memory) list(prefix string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for name := range f.m {
		if strings.HasPrefix(name, prefix) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

type folder string

func (f folder) path(name string) string { return filepath.Join(string(f), filepath.FromSlash(name)) }

func (f folder) read(name string) ([]byte, error) { return os.ReadFile(f.path(name)) }

func (f folder) write(name string, content []byte) error {
	tmp := f.path(name) + ".new"
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, f.path(name))
}

func (f folder) remove(name string) error {
	if err := os.Remove(f.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f folder) list(prefix string) ([]string, error) {
	entries, err := os.ReadDir(f.path(prefix)) // sorted
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		out = append(out, prefix+e.Name())
	}
	return out, nil
}
