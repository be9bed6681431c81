// Package terminal is how a command speaks with a person: lines, tables, colours, questions, secrets.
package terminal

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"highwater/internal/checklist"
	"highwater/internal/hints"
)

// The rules of speech: results go to standard output, everything else to standard error. An error is one `error:` line
// and, where advice exists, a `hint:` line. Tables are for people; --json is for programs. Colour appears on a terminal
// only, and never carries a meaning alone.

// Terminal is the input and the two outputs of a command.
type Terminal struct {
	in  *bufio.Reader
	Out io.Writer
	Err io.Writer
	// interactive is true when a person can answer questions.
	Interactive bool
	colour      bool
	wroteJSON   bool
	Width       int // columns of the results' terminal; zero: no terminal
	// interrupted is closed by an interrupt (Ctrl-C): no question waits for a person any more. Nil: never.
	Interrupted <-chan struct{}
}

// New makes the terminal of a command, with out's colour and width.
func New(in io.Reader, out, errw io.Writer) *Terminal {
	return &Terminal{
		Width: columns(out),
		in:    bufio.NewReader(in), Out: out, Err: errw,
		Interactive: isTerminal(in) && isTerminal(errw),
		colour:      isTerminal(out) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb",
	}
}

func isTerminal(v any) bool {
	f, ok := v.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Say writes a line to standard output.
func (t *Terminal) Say(format string, args ...any) { fmt.Fprintf(t.Out, format+"\n", args...) }

// Note writes a line to standard error: progress, advice, warnings.
func (t *Terminal) Note(format string, args ...any) { fmt.Fprintf(t.Err, format+"\n", args...) }

// Fail writes an error, and its hint.
func (t *Terminal) Fail(err error) {
	t.Note("error: %s", err)
	if hint := hints.Of(err); hint != "" {
		t.Note("hint: %s", hint)
	}
}

// JSON writes a value for programs.
func (t *Terminal) JSON(v any) error {
	t.wroteJSON = true
	enc := json.NewEncoder(t.Out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// WroteJSON tells whether a value for programs was written.
func (t *Terminal) WroteJSON() bool { return t.wroteJSON }

// ANSI colours.
const (
	Green  = "32"
	Yellow = "33"
	Red    = "31"
	Bold   = "1"
)

// Paint colours a text. Without colour, the text stays unchanged.
func (t *Terminal) Paint(colour, text string) string {
	if !t.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Confirmable refuses an act with a question where nobody can answer: without a terminal and without --yes. A command
// calls Confirmable first, so that nothing is shown, waited for or half done in vain.
func (t *Terminal) Confirmable(yes bool) error {
	if yes || t.Interactive {
		return nil
	}
	return hints.Add(unconfirmed("the command wants a confirmation, and has no terminal to ask on"), "add --yes")
}

// Confirm asks for a typed word, for which --yes stands.
func (t *Terminal) Confirm(yes bool, question, word string) error {
	if yes {
		return nil
	}
	if err := t.Confirmable(yes); err != nil {
		return err
	}
	return t.Typed(question, word)
}

// Typed asks for a typed word, from any standard input.
func (t *Terminal) Typed(question, word string) error {
	fmt.Fprintf(t.Err, "%s\nType %q to go on: ", question, word)
	line, err := t.Line()
	if err != nil {
		return err
	}
	if strings.TrimSpace(line) != word {
		return unconfirmed("the word is different: nothing was changed")
	}
	return nil
}

// Line reads a typed line.
func (t *Terminal) Line() (string, error) {
	return typedOr(t, func() (string, error) {
		line, err := t.in.ReadString('\n')
		if err != nil && line == "" {
			t.Note("")
			return "", unconfirmed("nothing was typed: nothing was changed")
		}
		return line, nil
	})
}

// Unconfirmed is the reason of an act that no person confirmed.
const Unconfirmed = "unconfirmed"

// unconfirmed is the error of such an act.
type unconfirmed string

func (e unconfirmed) Error() string { return string(e) }

// ReasonWord is the reason for programs.
func (unconfirmed) ReasonWord() string { return Unconfirmed }

var errInterrupted error = unconfirmed("interrupted: nothing was changed")

// typedOr waits for a person's line, or for an interrupt. After an interrupt the reader ends with the process; nothing
// else reads by then.
func typedOr[T any](t *Terminal, read func() (T, error)) (T, error) {
	type answer struct {
		typed T
		err   error
	}
	var none T
	given := make(chan answer, 1)
	select {
	case <-t.Interrupted:
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
	case <-t.Interrupted:
		t.Note("")
		return none, errInterrupted
	}
}

// UsageError is a mistake in the command's words: exit status 2.
type UsageError struct{ error }

// Misuse makes an error a mistake in the command's words.
func Misuse(err error) error { return UsageError{err} }

// Unwrap gives the cause.
func (e UsageError) Unwrap() error { return e.error }

// Usagef makes a mistake in the command's words.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }

// PaintResult colours the result of a check: ok is green, bad is red, the rest is yellow.
func (t *Terminal) PaintResult(result checklist.Result) string {
	text := fmt.Sprintf("%-7s", result)
	if result == checklist.OK {
		return t.Paint(Green, text)
	}
	if result == checklist.Bad {
		return t.Paint(Red, text)
	}
	return t.Paint(Yellow, text)
}
