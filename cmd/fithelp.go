package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// fitHelp breaks the help of a command, and of all below it, for a terminal of so many columns. As it is written, it is wider than most.
func fitHelp(c *cobra.Command, width int) {
	template := strings.ReplaceAll(helpTemplate, "Flags.FlagUsages", fmt.Sprintf("Flags.FlagUsagesWrapped %d", width))
	c.Root().SetHelpTemplate(template)
	c.Root().SetUsageTemplate(template)
	c.Long = fit(c.Long, width)
	for _, sub := range c.Commands() {
		fitHelp(sub, width)
	}
}

// fit breaks paragraphs between words. One with columns in it stays as it is.
func fit(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		if strings.Contains(p, "  ") {
			continue
		}
		var b strings.Builder
		at := 0
		for _, word := range strings.Fields(p) {
			switch n := cells(word); {
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
