package devices

import (
	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/operate"
)

const ledgerLong = `Look at Ledgers with the Tezos Baking app, and set Ledgers up. The commands work through a running
daemon; without a daemon they talk to the devices themselves. A command names each prompt to confirm on the
device, and waits for your answer.

The watermark in the device is a second line of defence: one mark for all kinds, and a menu of the app can
switch the mark off. The host's marks are the first line ("highwater hwm list").`

func (a *app) ledgerCmd() *cobra.Command {
	return cli.Group("ledger", "Look at Ledgers, set up Ledgers", ledgerLong, "  highwater ledger list",
		a.ledgerListCmd(), a.ledgerSetupCmd(), a.ledgerAuthorizeCmd(), a.ledgerDeauthorizeCmd(), a.ledgerHWMCmd(),
		a.ledgerResetCmd(),
		a.ledgerVersionCmd())
}

func (a *app) ledgerFlags(c *cobra.Command) *cli.DeviceFlags {
	f := &cli.DeviceFlags{Kind: config.KindLedger}
	f.Flags(c)
	return f
}

func (a *app) ledgerListCmd() *cobra.Command {
	var f *cli.DeviceFlags
	c := &cobra.Command{
		Use: "list", Short: "List the configured Ledgers and their keys", Args: cli.NoArgs,
		Long: "List the configured Ledgers: the four-word name, the app, and the key at the usual path of each\n" +
			"curve. The keys are printed in octez's form, ready for `keys` in the configuration.",
		Example: "  highwater ledger list",
		RunE: func(c *cobra.Command, _ []string) error {
			problem := func(name, text string) daemon.LedgerView { return daemon.LedgerView{Name: name, Problem: text} }
			return cli.AskEach(c, a.App, f, daemon.LedgerInfoArgs{Keys: true}, problem, a.ledgerList)
		},
	}
	f = a.ledgerFlags(c)
	return a.AddJSON(c)
}

func (a *app) ledgerList(views []daemon.LedgerView) error {
	for _, v := range views {
		if v.Problem != "" {
			a.Say("%s: %s", v.Name, v.Problem)
			continue
		}
		a.Say("%s: %s, %s, Tezos Baking %s, %s", v.Name, v.ID, v.Model, v.App, v.Where)
		rows := [][]string{}
		for _, k := range v.Keys {
			mark := "-"
			if k.Authorised {
				mark = "may bake"
			}
			rows = append(rows, []string{k.Locator, k.PKH, mark})
		}
		if err := a.Table([]string{"locator", "key", "authorised"}, rows); err != nil {
			return err
		}
		if v.Note != "" {
			a.Note("hint: %s", v.Note)
		}
	}
	return nil
}

func (a *app) ledgerSetupCmd() *cobra.Command {
	var f *cli.DeviceFlags
	var key, chain string
	var level cli.LevelValue
	var test int64
	var far bool
	c := &cobra.Command{
		Use: "setup", Short: "Authorise a key and set the device's marks (confirm on the device)", Args: cli.NoArgs,
		Long: "Authorise a key for baking, and set the device's chain and marks. You confirm on the device. The\n" +
			"setup always names a chain: on a device without a chain, the registration of a baker resets the\n" +
			"round of the mark.\n" +
			"\n" +
			"LEVEL lies above every level that the key ever signed. At LEVEL round 0 itself the device may\n" +
			"still attest.",
		Example: "  highwater ledger setup --key ed25519/0h/0h --hwm 8000000",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.Wants(c, "hwm"); err != nil {
				return err
			}
			k, err := daemon.ParseLedgerKey(key)
			if err != nil {
				return terminal.Misuse(err)
			}
			args := daemon.LedgerSetupArgs{LedgerKey: k, Far: far}
			if args.Main, err = a.Level(c.Context(), "hwm", level); err != nil {
				return err
			}
			if args.Test, err = cli.LevelFlag("test-hwm", test); err != nil {
				return err
			}
			cfg, err := a.Config()
			if err != nil {
				return err
			}
			if id, err := tezos.ParseNetwork(chain); chain != "" && (err != nil || id != cfg.ChainID) {
				return terminal.Usagef("--chain %s: the configured chain is %s", chain, cfg.ChainID)
			}
			return cli.Ask(c, a.App, f, "setup", args, func(name, pkh string) error {
				a.Say("%s may bake with %s on %s, marks at %d", name, pkh, cfg.ChainID, args.Main)
				a.Note("next: highwater hwm set %s --level %d", pkh, args.Main)
				return nil
			})
		},
	}
	f = a.ledgerFlags(c)
	c.Flags().StringVar(&key, "key", "ed25519/0h/0h", "the `KEY`: a locator in octez's form, or CURVE/PATH")
	c.Flags().StringVar(&chain, "chain", "", "chain `ID`; only the configured chain (the default)")
	c.Flags().Var(&level, "hwm",
		"`LEVEL` of the device's mark, a number or head+N: above all levels that the key ever signed")
	cli.FarFlag(c, &far)
	c.Flags().Int64Var(&test, "test-hwm", 0, "`LEVEL` of the device's mark for all remaining chains")
	return c
}

func (a *app) ledgerAuthorizeCmd() *cobra.Command {
	var f *cli.DeviceFlags
	var key string
	c := &cobra.Command{
		Use: "authorize", Short: "Authorise another key; the marks stay (confirm on the device)", Args: cli.NoArgs,
		Long: "Authorise another key for baking. A device has one baking key and one mark: the new key replaces\n" +
			"the old key, and the mark stays unchanged.",
		Example: "  highwater ledger authorize --key secp256k1/0h/0h",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.Wants(c, "key"); err != nil {
				return err
			}
			k, err := daemon.ParseLedgerKey(key)
			if err != nil {
				return terminal.Misuse(err)
			}
			return cli.Ask(c, a.App, f, "authorize", k, func(name, pkh string) error {
				a.Say("%s may bake with %s", name, pkh)
				a.Note("next, unless the key has marks (highwater hwm list): %s",
					hints.Level("highwater hwm set "+pkh+" --level", 0))
				return nil
			})
		},
	}
	f = a.ledgerFlags(c)
	c.Flags().StringVar(&key, "key", "", "the `KEY`: a locator in octez's form, or CURVE/PATH")
	return c
}

func (a *app) ledgerDeauthorizeCmd() *cobra.Command {
	var f *cli.DeviceFlags
	var yes bool
	c := &cobra.Command{
		Use: "deauthorize", Short: "Make the device forget its baking key (the device does not ask)", Args: cli.NoArgs,
		Long: "Make the device forget its baking key. The device asks nothing, so the command asks you. The\n" +
			"baker is down until the next setup.",
		Example: "  highwater ledger deauthorize --device left",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := a.Confirmable(yes); err != nil {
				return err
			}
			return a.OnDevice(c.Context(), f, func(admin operate.Admin, name string) error {
				if err := a.Confirm(yes, "Baking with "+name+" ends until its next setup.", "deauthorize"); err != nil {
					return err
				}
				if _, err := cli.Call[string](c.Context(), a.App, admin, f, name, "deauthorize", struct{}{}); err != nil {
					return err
				}
				a.Say("%s has no baking key now", name)
				return nil
			})
		},
	}
	f = a.ledgerFlags(c)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) ledgerHWMCmd() *cobra.Command {
	var f *cli.DeviceFlags
	c := &cobra.Command{
		Use: "hwm", Short: "Show the device's mark beside the host's", Args: cli.NoArgs,
		Long: "Show the device's mark beside the host's, kind by kind, and the differences. The device has one\n" +
			"mark for all kinds. A setting of the app decides whether the mark survives a power cut. No\n" +
			"command can read the setting: see docs/ledger.md.",
		Example: "  highwater ledger hwm",
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.Ask(c, a.App, f, "info", daemon.LedgerInfoArgs{Compare: true}, a.showLedgerMarks)
		},
	}
	f = a.ledgerFlags(c)
	return a.AddJSON(c)
}

func (a *app) showLedgerMarks(_ string, v daemon.LedgerView) error {
	chain := v.Chain
	if chain == "" {
		chain = "any chain (set the device up again, with a chain)"
	}
	a.Say("%s: %s\nmain    %s, for %s\nother   %s\nkey     %s\n", v.Name, v.ID, v.Main, chain, v.Test, words.Dash(v.PKH))
	rows := [][]string{}
	for _, m := range v.Compare {
		host := "none"
		if m.Host != nil {
			host = m.Host.String()
		}
		rows = append(rows, []string{m.Kind.String(), host, m.Device.String(), m.Note})
	}
	return a.Table([]string{"kind", "host", "device", "what differs"}, rows)
}

func (a *app) ledgerResetCmd() *cobra.Command {
	var f *cli.DeviceFlags
	var level cli.LevelValue
	var far bool
	c := &cobra.Command{
		Use: "reset", Short: "Set the device's mark (confirm on the device)", Args: cli.NoArgs,
		Long: "Set the device's mark to LEVEL round 0, up or down. You confirm on the device. The host's marks\n" +
			"stay unchanged.\n" +
			"\n" +
			"At LEVEL round 0 itself the device still signs an attestation, but no block. To shut LEVEL for\n" +
			"everything, reset to LEVEL+1: a block at LEVEL+1 round 0 is refused as well.",
		Example: "  highwater ledger reset --level 8000000",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.Wants(c, "level"); err != nil {
				return err
			}
			l, err := a.Level(c.Context(), "level", level)
			if err != nil {
				return err
			}
			return cli.Ask(c, a.App, f, "reset", daemon.LedgerResetArgs{Level: l, Far: far}, func(name, _ string) error {
				a.Say("%s: the device's mark is at level %d round 0: an attestation at the mark is still open, a block is not",
					name, l)
				a.Note("hint: to shut level %d for everything: highwater ledger reset --device %s --level %d", l, name, l+1)
				return nil
			})
		},
	}
	f = a.ledgerFlags(c)
	cli.FarFlag(c, &far)
	c.Flags().Var(&level, "level", "the `LEVEL`: a number, or head+N with a node")
	return c
}

func (a *app) ledgerVersionCmd() *cobra.Command {
	var f *cli.DeviceFlags
	c := &cobra.Command{
		Use: "version", Short: "Show the version of the device's app", Args: cli.NoArgs,
		Example: "  highwater ledger version",
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.Ask(c, a.App, f, "info", daemon.LedgerInfoArgs{}, func(name string, v daemon.LedgerView) error {
				a.Say("%s: Tezos Baking %s (%s)", name, v.App, v.Build)
				return nil
			})
		},
	}
	f = a.ledgerFlags(c)
	return a.AddJSON(c)
}
