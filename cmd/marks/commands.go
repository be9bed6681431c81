// Package marks is the commands about watermarks: hwm and bundle.
package marks

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
)

// app is what these commands share.
type app struct{ *cli.App }

// Commands makes the commands.
func Commands(a *cli.App) []*cobra.Command {
	v := &app{a}
	return []*cobra.Command{v.hwmCmd(), v.bundleCmd()}
}
