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
	"syscall"
)

// ErrNoPassphrase is returned by a source without a passphrase (now): keys stay locked until an operator unlocks the
// keys.
var ErrNoPassphrase = errors.New("no passphrase is available")

// PassphraseSource returns the passphrase for a gadget's keys.
type PassphraseSource interface {
	// Passphrase returns bytes that belong to the caller, for the caller to wipe after use. Without a passphrase the
	// error is ErrNoPassphrase.
	Passphrase(ctx context.Context, device string) ([]byte, error)
}

// PassphraseFunc makes a source of a function: a prompt.
type PassphraseFunc func(ctx context.Context, device string) ([]byte, error)

// Passphrase calls the function.
func (f PassphraseFunc) Passphrase(ctx context.Context, device string) ([]byte, error) {
	return f(ctx, device)
}

// maxPassphrase bounds a passphrase, in bytes.
const maxPassphrase = 1024

// FromFile reads the passphrase from a file, anew each time. The file must be a regular file, belong to root or to
// the program's user, and be closed to all other users (mode 0600 or 0400).
func FromFile(path string) PassphraseSource {
	return PassphraseFunc(func(context.Context, string) ([]byte, error) { return readSecretFile(path, true) })
}

// FromCredential reads the passphrase from a systemd credential (LoadCredential=, LoadCredentialEncrypted=). systemd
// controls the access: an access list grants the service access, and shows up as a mode.
func FromCredential(name string) PassphraseSource {
	return PassphraseFunc(func(context.Context, string) ([]byte, error) {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, fmt.Errorf("%w: credential %s: systemd gave this process no credentials (LoadCredential= in its unit)",
				ErrNoPassphrase, name)
		}
		if name == "" || name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			return nil, fmt.Errorf("%q is not the name of a credential", name)
		}
		return readSecretFile(filepath.Join(dir, name), false)
	})
}

func readSecretFile(path string, strict bool) ([]byte, error) {
	//nolint:gosec // the operator names the file
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
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
		return fmt.Errorf("passphrase: users other than the owner can read %s (mode %04o): chmod 600 %s", path, mode, path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("passphrase: %s belongs to user %d", path, st.Uid)
	}
	return nil
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
		return nil, fmt.Errorf("%w: an empty passphrase", ErrNoPassphrase)
	}
	return bytes.Clone(text), nil
}
