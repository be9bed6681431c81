// Package marks is the commands about watermarks: hwm and bundle.
package marks

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
)

// Commands makes the commands.
func Commands(a *cli.App) []*cobra.Command {
	v := &app{a}
	return []*cobra.Command{v.hwmCmd(), v.bundleCmd()}
}
