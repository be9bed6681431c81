package devices

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/tezsign"
)

const tezsignLong = `Look at TezSign gadgets, make keys, unlock keys. The commands work through a running daemon;
without a daemon they talk to the gadgets themselves.

Keys are locked after each power cycle. The passphrase is typed at a prompt, or read from a file descriptor
(--passphrase-fd), never from an argument. A daemon unlocks by itself when the configuration names a
passphrase_file or a passphrase_credential.`

func (a *app) tezsignCmd() *cobra.Command {
	return cli.Group("tezsign", "Look at TezSign gadgets, make and unlock keys", tezsignLong, "  highwater tezsign status",
		a.tezsignListCmd(), a.tezsignInitCmd(), a.tezsignNewCmd(), a.tezsignStatusCmd(), a.tezsignUnlockCmd(),
		a.tezsignLockCmd(),
		a.tezsignSetLevelCmd(), a.tezsignLogsCmd(), a.tezsignDeleteCmd(), a.tezsignVersionCmd())
}

// tezsignFlags are the flags of the tezsign commands.
type tezsignFlags struct {
	cli.DeviceFlags
	fd  int
	all bool
}

func (a *app) tezsignFlags(c *cobra.Command, passphrase bool) *tezsignFlags {
	f := &tezsignFlags{DeviceFlags: cli.DeviceFlags{Kind: config.KindTezSign}, fd: -1}
	f.Flags(c)
	if passphrase {
		c.Flags().IntVar(&f.fd, "passphrase-fd", -1, "read the passphrase from this file descriptor `N` (0: standard input)")
		c.Flags().Lookup("passphrase-fd").DefValue = "0" // help must not show -1, the value of a flag not given
	}
	return f
}

func (a *app) tezsignListCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "list", Short: "List the configured gadgets and their keys", Args: cli.NoArgs,
		Example: "  highwater tezsign list",
		Long:    "List the configured gadgets: the serial number, the state of the gadget, and its keys.",
		RunE: func(c *cobra.Command, _ []string) error {
			problem := func(name, text string) daemon.TezSignInfo { return daemon.TezSignInfo{Name: name, Problem: text} }
			return cli.AskEach(c, a.App, &f.DeviceFlags, struct{}{}, problem, a.gadgetsTable)
		},
	}
	f = a.tezsignFlags(c, false)
	return a.AddJSON(c)
}

func (a *app) gadgetsTable(infos []daemon.TezSignInfo) error {
	rows := [][]string{}
	for _, g := range infos {
		state := "initialised"
		switch {
		case g.Problem != "":
			state = g.Problem
		case !g.Initialised:
			state = "not initialised: highwater tezsign init"
		}
		rows = append(rows, []string{g.Name, words.Dash(g.Serial), words.Dash(g.Version), fmt.Sprint(len(g.Keys)), state})
	}
	return a.Table([]string{"name", "serial", "version", "keys", "state"}, rows)
}

func (a *app) tezsignStatusCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "status", Short: "Show a gadget's keys: locked or not, and the gadget's own marks", Args: cli.NoArgs,
		Long: "Show a gadget's keys: locked or not, and the gadget's own marks, which the gadget tells of\n" +
			"unlocked keys only. The gadget's marks are a second line of defence: the host's marks are in\n" +
			"\"highwater hwm list\".",
		Example: "  highwater tezsign status --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.Ask(c, a.App, &f.DeviceFlags, "info", struct{}{}, a.gadgetKeysTable)
		},
	}
	f = a.tezsignFlags(c, false)
	return a.AddJSON(c)
}

func (a *app) gadgetKeysTable(_ string, info daemon.TezSignInfo) error {
	rows := [][]string{}
	for _, k := range info.Keys {
		state := "unlocked"
		switch {
		case k.Corrupted:
			state = "corrupted"
		case k.Locked:
			state = "locked"
		case k.Fault != "":
			state = k.Fault
		}
		marks := []string{}
		for _, m := range k.Marks {
			marks = append(marks, fmt.Sprintf("%s %d/%d", m.Kind, m.Level, m.Round))
		}
		rows = append(rows, []string{k.Alias, k.PKH.String(), state, words.Dash(strings.Join(marks, ", "))})
	}
	return a.Table([]string{"alias", "key", "state", "its own marks"}, rows)
}

func (a *app) tezsignInitCmd() *cobra.Command {
	var f *tezsignFlags
	var deterministic bool
	c := &cobra.Command{
		Use: "init", Short: "Make a gadget's secret seed, once", Args: cli.NoArgs,
		Long: "Make the seed of a new gadget, under a passphrase.\n" +
			"\n" +
			"With --deterministic the gadget derives each key from the seed and the number of earlier keys,\n" +
			"and never uses a number again. The alias has no part in the key: after a deletion the same alias\n" +
			"gives a new key with a new address.",
		Example: "  highwater tezsign init --deterministic",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.OnDevice(c.Context(), &f.DeviceFlags, func(admin operate.Admin, name string) error {
				pass, err := a.Passphrase(f.fd, "New passphrase of "+name, true)
				if err != nil {
					return err
				}
				defer clear(pass)
				args := daemon.TezSignKeysArgs{Passphrase: pass, Deterministic: deterministic}
				if _, err := cli.Call[string](c.Context(), a.App, admin, &f.DeviceFlags, name, "init", args); err != nil {
					return err
				}
				a.Say("%s is initialised", name)
				a.Note("next: highwater tezsign new consensus")
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, true)
	c.Flags().BoolVar(&deterministic, "deterministic", false, "derive the keys from the seed")
	return c
}

func (a *app) tezsignSetLevelCmd() *cobra.Command {
	var f *tezsignFlags
	var level cli.LevelValue
	var repair, far bool
	c := &cobra.Command{
		Use: "set-level ALIAS", Short: "Raise a gadget's own marks of a key", Args: someAliases,
		Long: "Raise all three of the gadget's own marks of a key (block, preattestation, attestation) to LEVEL\n" +
			"round 0.\n" +
			"\n" +
			"A gadget that lost the state of a key calls the key \"corrupted\". The command repairs the key\n" +
			"with --repair and a LEVEL above the host's own mark of the key.",
		Example: "  highwater tezsign set-level consensus --level 8000000",
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.Wants(c, "level"); err != nil {
				return err
			}
			l, err := a.Level(c.Context(), "level", level)
			if err != nil {
				return err
			}
			if len(args) != 1 {
				return terminal.Usagef("one alias at a time")
			}
			alias, err := tezsign.FoldAlias(args[0])
			if err != nil {
				return err
			}
			q := daemon.TezSignLevelArgs{Alias: alias, Level: l, Repair: repair, Far: far}
			return cli.Ask(c, a.App, &f.DeviceFlags, "set-level", q, func(name, _ string) error {
				a.Say("%s: the gadget's own marks of %s are at level %d round 0", name, alias, l)
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, false)
	c.Flags().Var(&level, "level", "the `LEVEL`: a number, or head+N with a node")
	cli.FarFlag(c, &far)
	c.Flags().BoolVar(&repair, "repair", false,
		"the gadget lost the key's state, and I know the highest level that the key signed")
	return c
}

func (a *app) tezsignLogsCmd() *cobra.Command {
	var f *tezsignFlags
	var lines int
	c := &cobra.Command{
		Use: "logs", Short: "Show the last lines of a gadget's log", Args: cli.NoArgs,
		Example: "  highwater tezsign logs --lines 50",
		RunE: func(c *cobra.Command, _ []string) error {
			if lines < 1 {
				return terminal.Usagef("--lines %d: at least one", lines)
			}
			return cli.Ask(c, a.App, &f.DeviceFlags, "logs", lines, func(_ string, log []string) error {
				for _, line := range log {
					a.Say("%s", line)
				}
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, false)
	c.Flags().IntVar(&lines, "lines", 20, "show the last `LINES` of the log")
	return a.AddJSON(c)
}

func (a *app) tezsignVersionCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "version", Short: "Show a gadget's program and versions", Args: cli.NoArgs,
		Example: "  highwater tezsign version",
		RunE: func(c *cobra.Command, _ []string) error {
			return cli.Ask(c, a.App, &f.DeviceFlags, "info", struct{}{}, func(name string, info daemon.TezSignInfo) error {
				a.Say("%s: TezSign %s, built %s", name, info.Version, info.BuildDate)
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, false)
	return a.AddJSON(c)
}
