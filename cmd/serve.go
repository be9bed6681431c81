package cmd

import (
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/daemon"
	_ "highwater/internal/hangup" // before everything else of the process
)

const serveLong = `Run the signer. The signer needs a configuration and the watermark file of "highwater init", and
signs after "highwater activate".

octez-baker finds its keys at http://LISTEN/PKH: import each with
  octez-client import secret key ALIAS http://127.0.0.1:6732/tz1…
or, with [socket] listen, at tcp://HOST:PORT/PKH or unix:/PATH?pkh=PKH.

When the disk of the state directory fails, nothing is signed any more. The log and the hooks get the error, and
the daemon ends: only a fresh start can read what is really on the disk. A backup goes on answering its peer
until the disk works.

Exit status 0: stopped. 1: no start, or a failed listener. 2: a mistake on the command line. 3: the disk failed.`

func (a *app) serveCmd() *cobra.Command {
	var level, format string
	c := &cobra.Command{
		Use: "serve", Short: "Run the signer", Long: serveLong, Args: cli.NoArgs,
		Example: "  highwater serve --config /etc/highwater/highwater.toml --log-level debug",
		RunE: func(c *cobra.Command, _ []string) error {
			log, queue, err := a.daemonLog(level, format)
			if err != nil {
				return err
			}
			var again atomic.Pointer[func()]
			defer survive(c.Context(), log, &again)()
			cfg, err := a.Config()
			if err != nil {
				return err
			}
			d, err := daemon.New(c.Context(), cfg, log, a.Version)
			if err != nil {
				return err
			}
			read := d.ReadAgain
			again.Store(&read)
			d.Metrics.CountDroppedLines(queue.Dropped)
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(heapGrowth)
			}
			return d.Run(c.Context())
		},
	}
	c.Flags().StringVar(&level, "log-level", "info", "the `LEVEL`: debug, info, warn or error")
	c.Flags().StringVar(&format, "log-format", "text", "the `FORMAT`: text or json")
	return c
}

// heapGrowth is how much the heap may grow between two collections, in percent: 200 instead of Go's 100. The cost is
// about 7 MiB with 100 keys. The gain is fewer collections: each also shrinks stacks, and the next requests grow the
// stacks again. See docs/performance.md.
const heapGrowth = 200
