package terminal

import (
	"fmt"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// columnGap is what lies between two columns, and how far the lines of a folded row are indented.
const columnGap = 2

// columns is the width of a terminal; zero where there is none.
func columns(out any) int {
	f, ok := out.(*os.File)
	if !ok || !isTerminal(out) {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return 80
	}
	return width
}

// Table writes rows with aligned columns under a header. On a terminal that is too narrow for it each row is folded between two
// columns, the header likewise, rather than broken by the terminal in the middle of a number.
func (t *Terminal) Table(header []string, rows [][]string) error {
	head := make([]string, len(header))
	for i, h := range header {
		head[i] = strings.ToUpper(h)
	}
	rows = append([][]string{head}, rows...)
	widths := make([]int, len(head))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], Cells(cell))
		}
	}
	folds := foldsAt(widths, t.Width)
	var b strings.Builder
	for _, r := range rows {
		gap := 0
		for i, cell := range r {
			if folds[i] {
				b.WriteByte('\n')
				gap = columnGap
			}
			b.WriteString(strings.Repeat(" ", gap) + cell)
			gap = columnGap + widths[i] - Cells(cell)
		}
		b.WriteByte('\n')
	}
	_, err := fmt.Fprint(t.Out, b.String())
	return err
}

// roomForText is what the last column wants at the least: it is often a sentence, which the terminal may break.
const roomForText = 30

// foldsAt tells which columns begin a line of their own.
func foldsAt(widths []int, width int) []bool {
	folds := make([]bool, len(widths))
	at := 0
	for i, w := range widths {
		need := w
		if i == len(widths)-1 {
			need = min(w, roomForText)
		}
		if width > 0 && at > 0 && at+need > width {
			folds[i], at = true, columnGap
		}
		at += w + columnGap
	}
	return folds
}

// Cells is how many columns of a terminal a text takes: colours none, a letter of Chinese, Japanese or Korean two.
func Cells(text string) int {
	n, escape := 0, false
	for _, r := range text {
		switch {
		case escape:
			escape = r != 'm'
		case r == '\x1b':
			escape = true
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r >= 0x3000 && r <= 0x303e, r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
			n += 2
		default:
			n++
		}
	}
	return n
}
