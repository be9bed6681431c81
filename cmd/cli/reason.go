package cli

import (
	"github.com/spf13/cobra"

	"highwater/internal/actor"
)

// Reasoned gives the command of an act the flag --reason, for the journal.
func Reasoned(c *cobra.Command) *cobra.Command {
	var why string
	c.Flags().StringVar(&why, "reason", "", "the reason, a `TEXT` for the journal")
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if why != "" {
			c.SetContext(actor.WithReason(c.Context(), why))
		}
		return run(c, args)
	}
	return c
}
