// Package pair is the commands about the second machine: peer, bring-up, drill, wait-window, handover, release, accept,
// takeover.
package pair

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
)

// Commands makes the commands.
func Commands(a *cli.App) []*cobra.Command {
	p := &app{a}
	return []*cobra.Command{
		p.peerCmd(), p.registerCmd(), p.bringUpCmd(), p.drillCmd(), p.waitWindowCmd(), p.handoverCmd(), p.releaseCmd(),
		p.acceptCmd(), p.takeoverCmd(),
	}
}
