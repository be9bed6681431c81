// Package devices has the commands for each kind of device: ledger and tezsign.
package devices

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
)

// Commands makes the commands.
func Commands(a *cli.App) []*cobra.Command {
	v := &app{a}
	return []*cobra.Command{v.ledgerCmd(), v.tezsignCmd()}
}
