package devices

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/daemon"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/operate"
	"highwater/tezsign"
)

func (a *app) tezsignNewCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "new ALIAS…", Short: "Make keys", Args: someAliases, Example: "  highwater tezsign new consensus companion",
		Long: "Make a key for each alias, with the gadget's passphrase. The command prints the\n" +
			"address of each key.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.keysVerb(c.Context(), f, "new", args, "made", true, false)
		},
	}
	f = a.tezsignFlags(c, true)
	return a.AddJSON(c)
}

func someAliases(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return hints.Add(terminal.Usagef("%s wants at least one alias", c.CommandPath()), "e.g. consensus")
	}
	return nil
}

func (a *app) tezsignUnlockCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "unlock [ALIAS…]", Short: "Unlock keys; signing waits meanwhile", Args: cobra.ArbitraryArgs,
		Long: "Unlock keys with the passphrase. Only locked keys are unlocked. The gadget signs nothing\n" +
			"meanwhile: it could forget the mark of a key that signs during its unlock. The gadget takes five\n" +
			"tries in 30 seconds.",
		Example: "  highwater tezsign unlock consensus companion",
		RunE: func(c *cobra.Command, args []string) error {
			return a.keysVerb(c.Context(), f, "unlock", args, "unlocked", true, true)
		},
	}
	f = a.tezsignFlags(c, true)
	c.Flags().BoolVar(&f.all, "all", false, "all locked keys")
	return a.AddJSON(c)
}

func (a *app) tezsignLockCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "lock [ALIAS…]", Short: "Lock keys", Args: cobra.ArbitraryArgs, Example: "  highwater tezsign lock --all",
		Long: "Lock keys: a locked key signs nothing until \"highwater tezsign unlock\". Name the keys, or say\n" +
			"--all.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.keysVerb(c.Context(), f, "lock", args, "locked", false, true)
		},
	}
	f = a.tezsignFlags(c, false)
	c.Flags().BoolVar(&f.all, "all", false, "all keys")
	return a.AddJSON(c)
}

func (a *app) tezsignDeleteCmd() *cobra.Command {
	var f *tezsignFlags
	var yes bool
	c := &cobra.Command{
		Use: "delete ALIAS…", Short: "Delete keys from a gadget, for good", Args: someAliases,
		Long: "Delete keys for good, also on a gadget initialised with --deterministic: a new key with the same\n" +
			"alias has a new address. Delete no key that is registered on chain.",
		Example: "  highwater tezsign delete old-companion",
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.Confirmable(yes); err != nil {
				return err
			}
			return a.OnDevice(c.Context(), &f.DeviceFlags, func(admin operate.Admin, name string) error {
				which, err := a.toDelete(c.Context(), admin, f, name, args)
				if err != nil {
					return err
				}
				if err := a.Confirm(yes, name+" forgets for good: "+strings.Join(which, ", "), "delete"); err != nil {
					return err
				}
				return a.keysVerbOn(c.Context(), admin, f, name, "delete", args, "deleted", true)
			})
		},
	}
	f = a.tezsignFlags(c, true)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.AddJSON(c)
}

// toDelete gives the keys to delete, named as on the gadget, with their addresses: "TEST" is the gadget's "test".
func (a *app) toDelete(ctx context.Context, admin operate.Admin, f *tezsignFlags, name string, aliases []string) (
	which []string, err error,
) {
	if aliases, err = tezsign.FoldAliases(aliases); err != nil {
		return nil, err
	}
	info, err := cli.Call[daemon.TezSignInfo](ctx, a.App, admin, &f.DeviceFlags, name, "info", struct{}{})
	if err != nil {
		return nil, err
	}
	for _, alias := range aliases {
		at := slices.IndexFunc(info.Keys, func(k tezsign.KeyState) bool { return k.Alias == alias })
		if at < 0 {
			return nil, hints.Add(fmt.Errorf("%s: %w", alias, tezsign.ErrUnknownAlias), "see: highwater tezsign status")
		}
		which = append(which, alias+" ("+info.Keys[at].PKH.String()+")")
	}
	return which, nil
}

// keysVerb runs a verb over keys. Each key has its own result.
func (a *app) keysVerb(ctx context.Context, f *tezsignFlags, verb string, aliases []string, done string, secret,
	choose bool,
) error {
	return a.OnDevice(ctx, &f.DeviceFlags, func(admin operate.Admin, name string) error {
		var err error
		if choose {
			if aliases, err = a.chooseKeys(ctx, admin, f, name, verb, aliases); err != nil {
				return err
			}
		}
		return a.keysVerbOn(ctx, admin, f, name, verb, aliases, done, secret)
	})
}

func (a *app) keysVerbOn(
	ctx context.Context, admin operate.Admin, f *tezsignFlags, name, verb string, aliases []string, done string,
	secret bool,
) (err error) {
	args := daemon.TezSignKeysArgs{}
	if args.Aliases, err = tezsign.FoldAliases(aliases); err != nil {
		return err
	}
	if secret {
		if args.Passphrase, err = a.Passphrase(f.fd, "Passphrase of "+name, false); err != nil {
			return err
		}
		defer clear(args.Passphrase)
	}
	results, err := cli.Call[[]daemon.TezSignResult](ctx, a.App, admin, &f.DeviceFlags, name, verb, args)
	if err != nil {
		return err
	}
	return a.showResults(results, done)
}

func (a *app) showResults(results []daemon.TezSignResult, done string) error {
	failed := 0
	for _, r := range results {
		if r.Error != "" {
			failed++
		}
	}
	if a.AsJSON {
		if err := a.JSON(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			switch {
			case r.Error != "":
				a.Note("error: %s: %s", r.Alias, r.Error)
			case r.Note != "":
				a.Say("%s: %s", r.Alias, r.Note)
			default:
				a.Say("%s", strings.TrimSpace(fmt.Sprintf("%s: %s %s", r.Alias, done, r.PKH)))
			}
		}
	}
	if failed > 0 {
		return cli.ErrSaid
	}
	return nil
}

// chooseKeys gives the keys of the arguments; all with --all; else the operator picks keys on a terminal.
func (a *app) chooseKeys(ctx context.Context, admin operate.Admin, f *tezsignFlags, name, verb string,
	aliases []string,
) ([]string, error) {
	if len(aliases) > 0 {
		if f.all {
			return nil, terminal.Usagef("name keys, or say --all, not both")
		}
		return aliases, nil
	}
	info, err := cli.Call[daemon.TezSignInfo](ctx, a.App, admin, &f.DeviceFlags, name, "info", struct{}{})
	if err != nil {
		return nil, err
	}
	var fit []string
	for _, k := range info.Keys {
		if k.Locked == (verb == "unlock") {
			fit = append(fit, k.Alias)
		}
	}
	switch {
	case len(fit) == 0:
		return nil, fmt.Errorf("%s has no key to %s", name, verb)
	case f.all:
		return fit, nil
	case !a.Interactive:
		return nil, hints.Add(terminal.Usagef("name the keys to %s, or say --all", verb),
			"they are: "+strings.Join(fit, ", "))
	}
	return a.Pick("Which keys to "+verb, fit)
}
