package terminal

import (
	"strings"
)

// Fit breaks paragraphs between words. A paragraph with columns stays unchanged.
func Fit(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if strings.Contains(p, "  ") {
			continue
		}
		var b strings.Builder
		at := 0
		for _, word := range strings.Fields(p) {
			switch n := Cells(word); {
			case at == 0:
				at = n
			case at+1+n > width:
				b.WriteByte('\n')
				at = n
			default:
				b.WriteByte(' ')
				at += 1 + n
			}
			b.WriteString(word)
		}
		paragraphs[i] = b.String()
	}
	return strings.Join(paragraphs, "\n\n")
}
