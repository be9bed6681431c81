package tezsign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// ErrNoPassphrase is returned by a source that has none (now): keys stay locked until an operator unlocks them.
var ErrNoPassphrase = errors.New("no passphrase is available")

// PassphraseSource gives the passphrase that unlocks a gadget's keys.
type PassphraseSource interface {
	// Passphrase returns bytes that belong to the caller, who wipes them after use. ErrNoPassphrase when there is none.
	Passphrase(ctx context.Context, device string) ([]byte, error)
}

// PassphraseFunc makes a source of a function: a prompt.
type PassphraseFunc func(ctx context.Context, device string) ([]byte, error)

// Passphrase calls the function.
func (f PassphraseFunc) Passphrase(ctx context.Context, device string) ([]byte, error) {
	return f(ctx, device)
}

// maxPassphrase bounds what is read, in bytes.
const maxPassphrase = 1024

// FromFile reads the passphrase from a file, anew each time. The file must be a regular one, belong to the user that runs the
// program or to root, and be closed to everybody else (mode 0600 or 0400).
func FromFile(path string) PassphraseSource {
	return PassphraseFunc(func(context.Context, string) ([]byte, error) { return readSecretFile(path, true) })
}

// FromCredential reads the passphrase from a systemd credential (LoadCredential=, LoadCredentialEncrypted=). Who may read it is
// systemd's care: it grants the service access by an access list, which shows as a mode.
func FromCredential(name string) PassphraseSource {
	return PassphraseFunc(func(context.Context, string) ([]byte, error) {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, fmt.Errorf("%w: credential %s: systemd gave this process no credentials (LoadCredential= in its unit)", ErrNoPassphrase, name)
		}
		if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			return nil, fmt.Errorf("%q is not the name of a credential", name)
		}
		return readSecretFile(filepath.Join(dir, name), false)
	})
}

func readSecretFile(path string, strict bool) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	defer f.Close() //nolint:errcheck // read only
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("passphrase: %s is not a regular file", path)
	}
	if strict {
		if err := checkPrivate(path, info); err != nil {
			return nil, err
		}
	}
	return readSecret(f)
}

func checkPrivate(path string, info os.FileInfo) error {
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("passphrase: %s can be read by others (mode %04o): chmod 600 %s", path, mode, path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("passphrase: %s belongs to user %d", path, st.Uid)
	}
	return nil
}

// FromFD reads the passphrase from an open file: a descriptor that the parent process left. A regular file is read anew each
// time; a pipe gives its passphrase once, since it is not kept in memory, and ErrNoPassphrase after that.
func FromFD(f *os.File) PassphraseSource { return &fdSource{f: f} }

type fdSource struct {
	mu   sync.Mutex
	f    *os.File
	done bool
}

// Passphrase reads the file.
func (s *fdSource) Passphrase(context.Context, string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, err := s.f.Stat()
	if err != nil {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	if info.Mode().IsRegular() {
		return readSecret(io.NewSectionReader(s.f, 0, maxPassphrase+2))
	}
	if s.done {
		return nil, fmt.Errorf("%w: the descriptor gave its passphrase before", ErrNoPassphrase)
	}
	s.done = true
	return readSecret(s.f)
}

// readSecret reads to the end without leaving copies behind, and cuts one line end off.
func readSecret(r io.Reader) ([]byte, error) {
	buf := make([]byte, maxPassphrase+2)
	defer clear(buf)
	n, err := io.ReadFull(r, buf)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("passphrase: %w", err)
	}
	text := bytes.TrimSuffix(bytes.TrimSuffix(buf[:n], []byte("\n")), []byte("\r"))
	switch {
	case len(text) > maxPassphrase:
		return nil, fmt.Errorf("passphrase: longer than %d bytes", maxPassphrase)
	case len(text) == 0:
		return nil, fmt.Errorf("%w: it is empty", ErrNoPassphrase)
	}
	return bytes.Clone(text), nil
}
