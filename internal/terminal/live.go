package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"highwater/internal/checklist"
)

// Live shows a changing checklist on standard error: on a terminal in place, elsewhere line by line at each change. The
// final checklist is a result, and goes to standard output.
type Live struct {
	t     *Terminal
	out   io.Writer
	width int               // columns of the terminal; zero: no terminal
	drawn int               // lines on the terminal
	said  map[string]string // by name, elsewhere
}

// NewLive makes a list without lines yet. The caller ends the list.
func (t *Terminal) NewLive() *Live {
	l := &Live{t: t, out: t.Err, said: map[string]string{}}
	if f, ok := t.Err.(*os.File); ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb" {
		l.width = 80
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			l.width = width
		}
	}
	return l
}

// Show brings the checklist up to date. Changes by the second (a countdown) are for terminals.
func (l *Live) Show(findings []checklist.Line, countdown string) {
	if l.width == 0 {
		l.tell(findings)
		return
	}
	var b strings.Builder
	l.up(&b)
	l.drawn = 0
	line := func(paint func(checklist.Result) string, label checklist.Result, text string) {
		const margin = 2 + 7 + 2
		margined := "  " + paint(label) + "  "
		fmt.Fprintf(&b, "%s%s\x1b[K\n", margined, cut(text, l.width-margin-1))
		l.drawn++
	}
	plain := func(r checklist.Result) string { return fmt.Sprintf("%-7s", r) }
	for _, f := range findings {
		line(l.t.PaintResult, f.Result, fmt.Sprintf("%-15s %s", f.Name, f.Detail))
		if f.Hint != "" && f.Result != checklist.OK {
			line(plain, "", fmt.Sprintf("%-15s → %s", "", f.Hint))
		}
	}
	if countdown != "" {
		line(plain, "", countdown)
	}
	b.WriteString("\x1b[J")
	_, _ = io.WriteString(l.out, b.String()) // a terminal may be gone: no reason to stop
}

// up moves to where the list begins.
func (l *Live) up(w io.Writer) {
	if l.drawn > 0 {
		fmt.Fprintf(w, "\x1b[%dA", l.drawn)
	}
	fmt.Fprint(w, "\r")
}

// tell writes the new lines.
func (l *Live) tell(findings []checklist.Line) {
	for _, f := range findings {
		text := l.t.PaintResult(f.Result) + "  " + fmt.Sprintf("%-15s %s", f.Name, f.Detail)
		if l.said[f.Name] != text {
			l.said[f.Name] = text
			l.t.Note("  %s", text)
		}
	}
}

// End takes the list off the terminal: the next output takes its place.
func (l *Live) End() {
	if l.width > 0 && l.drawn > 0 {
		l.up(l.out)
		fmt.Fprint(l.out, "\x1b[J")
		l.drawn = 0
	}
}

// cut shortens a text to n characters.
func cut(text string, n int) string {
	r := []rune(text)
	if len(r) <= n || n < 1 {
		return text
	}
	return string(r[:n-1]) + "…"
}
