package cmd

import (
	"context"
	"errors"
	"net"

	"github.com/spf13/cobra"

	"highwater/api"
	"highwater/cmd/cli"
	"highwater/internal/daemon"
	"highwater/internal/terminal"
	"highwater/ledger/ledgersim"
)

// simCmd serves emulated devices to the tests of other programs. Help does not list the command.
func (a *app) simCmd() *cobra.Command {
	c := cli.Group("sim", "Serve emulated devices, for tests", "",
		"  highwater sim ledger --listen 127.0.0.1:9999 --seed zebra --accept", a.simLedgerCmd())
	c.Hidden = true
	return c
}

func (a *app) simLedgerCmd() *cobra.Command {
	var listen, seed, app string
	var hid, accept bool
	c := &cobra.Command{
		Use: "ledger", Short: "Serve an emulated Ledger, over the emulator's TCP, or as raw HID", Args: cli.NoArgs,
		Example: "  highwater sim ledger --listen 127.0.0.1:9999 --seed zebra --accept",
		RunE: func(c *cobra.Command, _ []string) error {
			opt := ledgersim.Options{Seed: seed, AllowMainnet: true}
			switch app {
			case "2.5.0":
				opt.Version = ledgersim.V250
			case "2.5.1":
				opt.Version = ledgersim.V251
			default:
				return terminal.Usagef("--app %q: use 2.5.0 or 2.5.1", app)
			}
			if accept {
				opt.Decide = ledgersim.Always(ledgersim.Accept)
			}
			return a.simLedger(c.Context(), listen, hid, opt)
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:9999", "`ADDRESS` to serve on")
	c.Flags().StringVar(&seed, "seed", "", "a BIP-39 mnemonic, derived like the app's, or any `TEXT`")
	c.Flags().StringVar(&app, "app", "2.5.0", "`VERSION` of the app: 2.5.0 or 2.5.1")
	c.Flags().BoolVar(&hid, "hid", false, "speak raw 64-byte HID reports instead of the APDU socket's frames")
	c.Flags().BoolVar(&accept, "accept", false, "accept every prompt; without it prompts stay on the screen")
	return c
}

func (a *app) simLedger(ctx context.Context, address string, hid bool, opt ledgersim.Options) error {
	d, err := ledgersim.New(opt)
	if err != nil {
		return err
	}
	l, err := api.Listen(ctx, address, daemon.OctezSocketMode)
	if err != nil {
		return err
	}
	a.Say("listening on %s", l.Addr())
	if hid {
		err = serveHID(ctx, l, d)
	} else {
		err = ledgersim.ServeTCP(ctx, l, d)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// serveHID serves raw reports, one client at a time.
func serveHID(ctx context.Context, l net.Listener, d *ledgersim.Device) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		c, err := l.Accept()
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		if err := ledgersim.ServeHID(ctx, c, d); err != nil && ctx.Err() != nil {
			return err
		}
	}
}
