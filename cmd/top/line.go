package top

import (
	"strings"
	"unicode"

	"github.com/charmbracelet/x/ansi"

	"highwater/internal/terminal"
)

// Styles of a piece of a line. Without colour the words and signs say the same.
const (
	plain  = ""
	good   = terminal.Green
	bad    = terminal.Red
	warn   = terminal.Yellow
	soft   = "2"
	strong = "1"
)

// piece is a part of a line, in one style.
type piece struct{ style, text string }

// line is one line of the screen.
type line []piece

// clean takes control characters off a text: names and errors come from elsewhere, and must not steer the terminal.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Cf) {
			return ' '
		}
		return r
	}, ansi.Strip(text))
}

// width is the number of columns.
func (l line) width() (n int) {
	for _, p := range l {
		n += ansi.StringWidth(clean(p.text))
	}
	return n
}

// paint gives a line of at most width columns. A faint line has no colours.
func (l line) paint(width int, faint bool) string {
	var b strings.Builder
	for _, p := range l {
		text := ansi.Truncate(clean(p.text), width, "…")
		width -= ansi.StringWidth(text)
		style := p.style
		if faint {
			style = soft
		}
		if style == plain || text == "" {
			b.WriteString(text)
		} else {
			b.WriteString("\x1b[" + style + "m" + text + "\x1b[0m")
		}
		if width <= 0 {
			break
		}
	}
	return b.String()
}

// apart puts two lines on one, the second at the right edge; or below each other where the width does not hold both.
func apart(left, right line, width int) []line {
	gap := width - left.width() - right.width()
	if gap < 2 {
		return []line{left, append(line{{plain, "    "}}, right...)}
	}
	return []line{append(append(left, piece{plain, strings.Repeat(" ", gap)}), right...)}
}

// wrap breaks a text between words, indented from the second line on.
func wrap(style, text string, width, indent int) (out []line) {
	for i, part := range strings.Split(ansi.Wrap(clean(text), max(10, width-indent), ""), "\n") {
		if i > 0 {
			part = strings.Repeat(" ", indent) + strings.TrimLeft(part, " ")
		}
		out = append(out, line{{style, part}})
	}
	return out
}
