package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"highwater/internal/terminal"
)

// fitHelp breaks the help of a command, and of all below it, for a terminal of so many columns. As it is written, it is
// wider than most.
func fitHelp(c *cobra.Command, width int) {
	template := strings.ReplaceAll(helpTemplate, "Flags.FlagUsages", fmt.Sprintf("Flags.FlagUsagesWrapped %d", width))
	c.Root().SetHelpTemplate(template)
	c.Root().SetUsageTemplate(template)
	c.Long = terminal.Fit(c.Long, width)
	for _, sub := range c.Commands() {
		fitHelp(sub, width)
	}
}
