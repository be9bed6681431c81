package cmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"highwater/internal/hints"
)

// The rules of speech: results go to standard output, everything else to standard error. An error is one `error:` line and, where
// there is something to do about it, a `hint:` line. Tables are for people; --json is for programs. Colour appears on a terminal
// only, and never carries a meaning alone.

// terminal is where a command speaks.
type terminal struct {
	in  *bufio.Reader
	out io.Writer
	err io.Writer
	// interactive is true when a person can answer questions.
	interactive bool
	colour      bool
	width       int // columns of the terminal that results go to; zero: it is none
	// interrupted is closed by an interrupt (Ctrl-C): then nothing is waited for that a person would have to type. Nil: never.
	interrupted <-chan struct{}
}

func newTerminal(in io.Reader, out, errw io.Writer) *terminal {
	return &terminal{
		width: columns(out),
		in:    bufio.NewReader(in), out: out, err: errw,
		interactive: isTerminal(in) && isTerminal(errw),
		colour:      isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// say writes a line to standard output.
func (t *terminal) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// note writes a line to standard error: progress, advice, warnings.
func (t *terminal) note(format string, args ...any) { fmt.Fprintf(t.err, format+"\n", args...) }

// fail writes an error, and its hint.
func (t *terminal) fail(err error) {
	t.note("error: %s", err)
	if hint := hints.Of(err); hint != "" {
		t.note("hint: %s", hint)
	}
}

// json writes a value for programs.
func (t *terminal) json(v any) error {
	enc := json.NewEncoder(t.out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// ANSI colours.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	bold   = "1"
)

func (t *terminal) paint(colour, text string) string {
	if !t.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// confirmable refuses what will have to be confirmed where nobody can: without a terminal and without --yes. A command calls it before
// it looks at anything, so that nothing is shown, waited for or half done in vain.
func (t *terminal) confirmable(yes bool) error {
	if yes || t.interactive {
		return nil
	}
	return hints.Add(errors.New("this wants a confirmation, and there is no terminal to give it at"), "add --yes")
}

// confirm asks for a typed word, for which --yes stands.
func (t *terminal) confirm(yes bool, question, word string) error {
	if yes {
		return nil
	}
	if err := t.confirmable(yes); err != nil {
		return err
	}
	return t.typed(question, word)
}

// typed asks for a typed word, from whatever standard input is.
func (t *terminal) typed(question, word string) error {
	fmt.Fprintf(t.err, "%s\nType %q to go on: ", question, word)
	line, err := t.line()
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != word {
		return errors.New("that was something else: nothing was changed")
	}
	return nil
}

// line reads a line that is typed.
func (t *terminal) line() (string, error) {
	return typedOr(t, func() (string, error) {
		line, err := t.in.ReadString('\n')
		if err != nil && line == "" {
			t.note("")
			return "", errors.New("nothing was typed: nothing was changed")
		}
		return line, nil
	})
}

var errInterrupted = errors.New("interrupted: nothing was changed")

// typedOr waits for what a person types, or for an interrupt. What still reads after that ends with the process; nothing else reads then.
func typedOr[T any](t *terminal, read func() (T, error)) (T, error) {
	type answer struct {
		typed T
		err   error
	}
	var none T
	given := make(chan answer, 1)
	select {
	case <-t.interrupted:
		return none, errInterrupted
	default:
	}
	go func() {
		typed, err := read()
		given <- answer{typed, err}
	}()
	select {
	case a := <-given:
		return a.typed, a.err
	case <-t.interrupted:
		t.note("")
		return none, errInterrupted
	}
}

// usageError is a mistake in the command's words: exit status 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
