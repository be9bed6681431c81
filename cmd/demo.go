package cmd

import (
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/demo"
	"highwater/internal/terminal"
)

const demoLong = `Show Highwater at work, without hardware, and without touching the instance of this machine: an
emulated Ledger with a tz1, a tz2 and a tz3 key, an emulated TezSign with a tz4 consensus key and a companion
key, an advancing chain, and a baker with octez-baker's requests.

On the way the baker asks for the same signature twice (and gets the same bytes), and for a double signature
(refused). The signer restarts in the middle (the marks are kept). A judge without any knowledge of watermarks
lists every signature.

With --machines 3: three machines share the right to sign through etcd; the demo starts etcd itself. The owner
is killed, the next machine signs, and the dead machine comes back.`

func (a *app) demoCmd() *cobra.Command {
	var o demo.Options
	var machines int
	c := &cobra.Command{
		Use: "demo", Short: "Show Highwater at work with emulated devices, a chain and a baker", Long: demoLong,
		Args:    cli.NoArgs,
		Example: "  highwater demo --levels 10 --interval 500ms",
		RunE: func(c *cobra.Command, _ []string) error {
			if o.Levels < 0 || o.Interval <= 0 {
				return terminal.Usagef("--levels is not negative, and --interval is more than nothing")
			}
			o.JSON, o.Version = a.AsJSON, a.Version
			switch machines {
			case 1:
			case 3:
				return demo.RunThree(c.Context(), a.Terminal, o)
			default:
				return terminal.Usagef("--machines is 1 or 3")
			}
			return demo.Run(c.Context(), a.Terminal, o)
		},
	}
	c.Flags().IntVar(&o.Levels, "levels", 0, "end after `N` levels (0: at Ctrl-C)")
	c.Flags().DurationVar(&o.Interval, "interval", time.Second, "the `TIME` between two levels, as 500ms")
	c.Flags().StringVar(&o.Listen, "listen", config.DefaultListen,
		"`ADDRESS` of the signer; a free port when the address is in use")
	c.Flags().StringVar(&o.Monitor, "monitor", "127.0.0.1:6733", "`ADDRESS` of metrics and status page")
	c.Flags().IntVar(&machines, "machines", 1, "show `N` machines: 1, or 3 that share the right to sign")
	return a.AddJSON(c)
}
