package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"highwater/internal/terminal"
	"highwater/internal/words"
)

// Group is a command with subcommands and no action of its own.
func Group(use, short, long, example string, subs ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Long: long, Example: example, Args: cobra.ArbitraryArgs, DisableFlagsInUseLine: true,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return terminal.Usagef("%s has no command %q%s", c.CommandPath(), args[0],
					words.DidYouMean(args[0], CommandNames(c)))
			}
			return c.Help()
		},
	}
	c.AddCommand(subs...)
	return c
}

// CommandNames are the names of the direct subcommands, as help shows them.
func CommandNames(c *cobra.Command) []string {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return names
}

// NoArgs refuses arguments, as a mistake of usage.
func NoArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return terminal.Usagef("%s takes no arguments, not %q", c.CommandPath(), args[0])
	}
	return nil
}

// Wants refuses a command without its required flags.
func Wants(c *cobra.Command, names ...string) error {
	missing := false
	said := make([]string, 0, len(names))
	for _, name := range names {
		f := c.Flags().Lookup(name)
		missing = missing || !f.Changed || strings.TrimSpace(f.Value.String()) == ""
		placeholder, _ := pflag.UnquoteUsage(f)
		said = append(said, "--"+name+" "+placeholder)
	}
	if !missing {
		return nil
	}
	last := len(said) - 1
	text := said[last]
	if last > 0 {
		text = strings.Join(said[:last], ", ") + " and " + text
	}
	return terminal.Usagef("%s wants %s", c.CommandPath(), text)
}
