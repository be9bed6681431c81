package cmd

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"highwater/internal/terminal"
)

// fitHelp breaks the help of a command, and of all its subcommands, at the width of the terminal.
func fitHelp(c *cobra.Command, width int) {
	template := strings.ReplaceAll(helpTemplate, "Flags.FlagUsages", fmt.Sprintf("Flags.FlagUsagesWrapped %d", width))
	c.Root().SetHelpTemplate(template)
	c.Root().SetUsageTemplate(template)
	c.Long = terminal.Fit(c.Long, width)
	for _, sub := range c.Commands() {
		fitHelp(sub, width)
	}
}

// helpTemplate puts the example last, because most readers look for the example.
const helpTemplate = `{{with (or .Long .Short)}}{{. | trimTrailingWhitespaces}}

{{end}}Usage:
{{if .Runnable}}  {{.UseLine}}
{{end}}{{if .HasAvailableSubCommands}}  {{.CommandPath}} COMMAND
{{if .Groups}}{{range $group := .Groups}}
{{$group.Title}}:{{range $.Commands}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}
{{end}}{{else}}
Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}
{{end}}{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Everywhere:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasExample}}
Example:
{{.Example}}
{{end}}`
