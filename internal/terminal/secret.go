package terminal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/term"

	"highwater/internal/hints"
)

// maxSecret bounds a passphrase, in bytes.
const maxSecret = 1024

// readSecret reads a passphrase, without a final newline, from an open file descriptor.
func (t *Terminal) readSecret(fd int) ([]byte, error) {
	var r io.Reader = t.in
	if fd != 0 {
		f := os.NewFile(uintptr(fd), "passphrase")
		if f == nil {
			return nil, fmt.Errorf("--passphrase-fd %d is not open", fd)
		}
		defer f.Close() //nolint:errcheck // only read
		r = f
	}
	b := make([]byte, maxSecret+1)
	n, err := io.ReadFull(r, b)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, fmt.Errorf("--passphrase-fd %d: %w", fd, err)
	}
	secret := bytes.TrimRight(b[:n], "\r\n")
	if len(secret) == 0 || len(secret) > maxSecret {
		clear(b)
		return nil, fmt.Errorf("--passphrase-fd %d: a passphrase has 1 to %d bytes", fd, maxSecret)
	}
	return secret, nil
}

// askSecret asks on the terminal, without an echo.
func (t *Terminal) askSecret(prompt string) ([]byte, error) {
	fmt.Fprintf(t.Err, "%s: ", prompt)
	fd := int(os.Stdin.Fd())
	before, stateErr := term.GetState(fd)
	b, err := typedOr(t, func() ([]byte, error) { return term.ReadPassword(fd) })
	if errors.Is(err, errInterrupted) {
		if stateErr == nil {
			_ = term.Restore(fd, before) // or the shell would have no echo
		}
		return nil, err
	}
	t.Note("")
	if err == nil && len(b) == 0 {
		err = unconfirmed("nothing was typed: nothing was changed")
	}
	return b, err
}

// Pick has the operator choose from a numbered list: numbers, or "all".
func (t *Terminal) Pick(question string, options []string) ([]string, error) {
	for i, o := range options {
		t.Note("  %d  %s", i+1, o)
	}
	fmt.Fprintf(t.Err, "%s? Numbers, or all: ", question)
	line, err := t.Line()
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(line) == "all" {
		return options, nil
	}
	var out []string
	for _, word := range strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" ,\t\n", r) }) {
		n, err := strconv.Atoi(word)
		if err != nil || n < 1 || n > len(options) {
			return nil, unconfirmed(fmt.Sprintf("%q is none of the numbers: nothing was changed", word))
		}
		out = append(out, options[n-1])
	}
	if len(out) == 0 {
		return nil, unconfirmed("nothing was chosen: nothing was changed")
	}
	return out, nil
}

// Passphrase reads a secret from a file descriptor, or asks on the terminal; a new secret is asked for twice.
func (t *Terminal) Passphrase(fd int, prompt string, isNew bool) ([]byte, error) {
	if fd >= 0 {
		return t.readSecret(fd)
	}
	if !t.Interactive {
		err := unconfirmed("a passphrase is wanted, and no terminal is there to type on")
		return nil, hints.Add(err, "for scripts: --passphrase-fd 0, with the passphrase on the standard input")
	}
	first, err := t.askSecret(prompt)
	if err != nil || !isNew {
		return first, err
	}
	second, err := t.askSecret("The same again")
	if err != nil {
		return nil, err
	}
	defer clear(second)
	if !bytes.Equal(first, second) {
		clear(first)
		return nil, unconfirmed("the two are not the same: nothing was changed")
	}
	return first, nil
}
