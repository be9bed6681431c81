// Package devices is the commands about one kind of device each: ledger and tezsign.
package devices

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
)

// app is what these commands share.
type app struct{ *cli.App }

// Commands makes the commands.
func Commands(a *cli.App) []*cobra.Command {
	v := &app{a}
	return []*cobra.Command{v.ledgerCmd(), v.tezsignCmd()}
}
