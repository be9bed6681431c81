package terminal

import (
	"fmt"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// columnGap is the space between two columns, and the indentation of a folded row's lines.
const columnGap = 2

// columns is the width of a terminal; zero without a terminal.
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

// Table writes rows with aligned columns under a header. On a narrow terminal each row, and the header, is folded
// between two columns: the terminal would break the row in the middle of a number.
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

// roomForText is the least width of the last column: often a sentence, and the terminal may break a sentence.
const roomForText = 30

// foldsAt gives the columns that begin a new line.
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
		case unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul), r >= 0x3000 && r <= 0x303e,
			r >= 0xff01 && r <= 0xff60, r >= 0x1f300 && r <= 0x1faff:
			n += 2
		default:
			n++
		}
	}
	return n
}
