package cmd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"highwater/api"
	"highwater/hwm"
	"highwater/tezsign"
)

const tezsignLong = `Look at TezSign gadgets, make keys, unlock them. It works through the daemon when one runs, else with the gadgets themselves.

Keys are locked after each power cycle. A passphrase is asked for, or read from a file descriptor (--passphrase-fd); it is never
an argument. A daemon unlocks by itself when its configuration names a passphrase_file or a passphrase_credential.`

func (a *app) tezsignCmd() *cobra.Command {
	return group("tezsign", "Look at TezSign gadgets, make and unlock keys", tezsignLong, "  highwater tezsign status",
		a.tezsignListCmd(), a.tezsignInitCmd(), a.tezsignNewCmd(), a.tezsignStatusCmd(), a.tezsignUnlockCmd(), a.tezsignLockCmd(),
		a.tezsignSetLevelCmd(), a.tezsignLogsCmd(), a.tezsignDeleteCmd(), a.tezsignVersionCmd())
}

// tezsignFlags are the flags of these commands.
type tezsignFlags struct {
	deviceFlags
	fd  int
	all bool
}

func (a *app) tezsignFlags(c *cobra.Command, passphrase bool) *tezsignFlags {
	f := &tezsignFlags{deviceFlags: deviceFlags{kind: kindTezSign}, fd: -1}
	c.Flags().StringVar(&f.device, "device", "", "the gadget's `NAME` in the configuration, when there are several")
	c.Flags().DurationVar(&f.timeout, "timeout", defaultWait, "how long to wait for the gadget")
	if passphrase {
		c.Flags().IntVar(&f.fd, "passphrase-fd", -1, "read the passphrase from this file descriptor `N` (0: standard input)")
	}
	return f
}

// Arguments and results of the verbs.
type (
	tezsignKeysArgs struct {
		Aliases       []string `json:"aliases"`
		Passphrase    []byte   `json:"passphrase,omitempty"`
		Deterministic bool     `json:"deterministic,omitempty"`
	}
	tezsignLevelArgs struct {
		Alias  string `json:"alias"`
		Level  int32  `json:"level"`
		Repair bool   `json:"repair"`
	}
	tezsignResult struct {
		Alias string `json:"alias"`
		PKH   string `json:"pkh,omitempty"`
		Note  string `json:"note,omitempty"`
		Error string `json:"error,omitempty"`
	}
	tezsignInfo struct {
		Name          string             `json:"name"`
		Serial        string             `json:"serial"`
		Version       string             `json:"version"`
		BuildDate     string             `json:"build_date"`
		Initialised   bool               `json:"initialised"`
		Deterministic bool               `json:"deterministic"`
		Keys          []tezsign.KeyState `json:"keys"`
		Problem       string             `json:"problem,omitempty"`
	}
)

// tezsignVerbs is what a TezSign's driver does for these commands.
var tezsignVerbs = map[string]verb[*tezsign.Device]{
	"info": with(func(ctx context.Context, _ *instance, d *tezsign.Device, _ struct{}, _ func(string)) (any, error) {
		return gadgetInfo(ctx, d)
	}),
	"init": with(func(ctx context.Context, _ *instance, d *tezsign.Device, q tezsignKeysArgs, _ func(string)) (any, error) {
		defer clear(q.Passphrase)
		return "done", d.Init(ctx, q.Deterministic, q.Passphrase)
	}),
	"new": with(func(ctx context.Context, _ *instance, d *tezsign.Device, q tezsignKeysArgs, show func(string)) (any, error) {
		defer clear(q.Passphrase)
		keys, err := d.NewKeys(ctx, q.Aliases, q.Passphrase, func(done, total int) {
			show(fmt.Sprintf("the gadget derives keys: %d of %d done", done, total))
		})
		return newKeyResults(keys), err
	}),
	"unlock": with(func(ctx context.Context, _ *instance, d *tezsign.Device, q tezsignKeysArgs, show func(string)) (any, error) {
		defer clear(q.Passphrase)
		show("the gadget derives the keys' secret; signing waits meanwhile")
		return keyResults(d.Unlock(ctx, q.Aliases, q.Passphrase))
	}),
	"lock": with(func(ctx context.Context, _ *instance, d *tezsign.Device, q tezsignKeysArgs, _ func(string)) (any, error) {
		return keyResults(d.Lock(ctx, q.Aliases))
	}),
	"delete": with(func(ctx context.Context, _ *instance, d *tezsign.Device, q tezsignKeysArgs, _ func(string)) (any, error) {
		defer clear(q.Passphrase)
		return keyResults(d.Delete(ctx, q.Aliases, q.Passphrase))
	}),
	"set-level": with(setGadgetLevel),
	"logs": with(func(ctx context.Context, _ *instance, d *tezsign.Device, limit int, _ func(string)) (any, error) {
		return d.Logs(ctx, limit)
	}),
}

func newKeyResults(keys []tezsign.NewKey) []tezsignResult {
	out := []tezsignResult{}
	for _, k := range keys {
		r := tezsignResult{Alias: k.Alias, PKH: k.PKH}
		if k.Err != nil {
			r.PKH, r.Error = "", k.Err.Error()
		}
		out = append(out, r)
	}
	return out
}

func keyResults(results []tezsign.KeyResult, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	out := []tezsignResult{}
	for _, k := range results {
		r := tezsignResult{Alias: k.Alias, Note: k.Note}
		if k.Err != nil {
			r.Error = k.Err.Error()
		}
		out = append(out, r)
	}
	return out, nil
}

func gadgetInfo(ctx context.Context, d *tezsign.Device) (tezsignInfo, error) {
	v, err := d.Version(ctx)
	if err != nil {
		return tezsignInfo{}, err
	}
	info, err := d.InitInfo(ctx)
	if err != nil {
		return tezsignInfo{}, err
	}
	keys, err := d.KeyStates(ctx)
	return tezsignInfo{
		Name: d.Name(), Serial: d.Status().ID, Version: v.Version, BuildDate: v.BuildDate,
		Initialised: info.Master, Deterministic: info.Deterministic, Keys: keys,
	}, err
}

// setGadgetLevel raises a gadget's marks, and knows the host's.
func setGadgetLevel(ctx context.Context, in *instance, d *tezsign.Device, q tezsignLevelArgs, _ func(string)) (any, error) {
	host := int32(-1)
	for _, k := range d.Keys() {
		if k.Alias != q.Alias {
			continue
		}
		for _, key := range hwm.KeysOf(in.cfg.chainID, k.PublicKey.Hash()) {
			st, err := in.store.State(key)
			if err != nil {
				return nil, err
			}
			if st.Mark != nil {
				host = max(host, st.Mark.Level)
			}
		}
	}
	return "done", d.SetLevel(ctx, q.Alias, q.Level, tezsign.LevelOptions{HostMark: host, Repair: q.Repair})
}

func (a *app) tezsignListCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "list", Short: "List the configured gadgets and their keys", Args: noArgs, Example: "  highwater tezsign list",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAdmin(c.Context(), true, func(cfg *config, admin api.Admin) error {
				infos, err := a.gadgets(c.Context(), cfg, admin, f)
				if err != nil {
					return err
				}
				if a.jsonFlag {
					return a.json(infos)
				}
				return a.gadgetsTable(infos)
			})
		},
	}
	f = a.tezsignFlags(c, false)
	return a.addJSON(c)
}

func (a *app) gadgets(ctx context.Context, cfg *config, admin api.Admin, f *tezsignFlags) ([]tezsignInfo, error) {
	names, err := f.names(cfg)
	if err != nil {
		return nil, err
	}
	infos := []tezsignInfo{}
	for _, name := range names {
		one := f.deviceFlags
		one.timeout = min(f.timeout, patience)
		info, err := call[tezsignInfo](ctx, a, admin, &one, name, "info", struct{}{})
		if err != nil {
			info = tezsignInfo{Name: name, Problem: err.Error()}
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func (a *app) gadgetsTable(infos []tezsignInfo) error {
	rows := [][]string{}
	for _, g := range infos {
		state := "initialised"
		switch {
		case g.Problem != "":
			state = g.Problem
		case !g.Initialised:
			state = "not initialised: highwater tezsign init"
		}
		rows = append(rows, []string{g.Name, dash(g.Serial), dash(g.Version), fmt.Sprint(len(g.Keys)), state})
	}
	return a.table([]string{"name", "serial", "version", "keys", "state"}, rows)
}

func (a *app) tezsignStatusCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "status", Short: "Show the keys of a gadget: locked or not, and its own marks", Args: noArgs,
		Long:    "Show a gadget's keys. It tells its own marks of unlocked keys only, and they are a second line: see highwater hwm list.",
		Example: "  highwater tezsign status --json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onDevice(c.Context(), &f.deviceFlags, func(_ *config, admin api.Admin, name string) error {
				info, err := call[tezsignInfo](c.Context(), a, admin, &f.deviceFlags, name, "info", struct{}{})
				if err != nil {
					return err
				}
				if a.jsonFlag {
					return a.json(info)
				}
				return a.gadgetKeysTable(info)
			})
		},
	}
	f = a.tezsignFlags(c, false)
	return a.addJSON(c)
}

func (a *app) gadgetKeysTable(info tezsignInfo) error {
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
		rows = append(rows, []string{k.Alias, k.PKH.String(), state, dash(strings.Join(marks, ", "))})
	}
	return a.table([]string{"alias", "key", "state", "its own marks"}, rows)
}

func (a *app) tezsignInitCmd() *cobra.Command {
	var f *tezsignFlags
	var deterministic bool
	c := &cobra.Command{
		Use: "init", Short: "Make a gadget's secret seed, once", Args: noArgs,
		Long: "Make the seed of a new gadget, under a passphrase. With --deterministic its keys come from the seed, so that the same\n" +
			"aliases give the same keys again.",
		Example: "  highwater tezsign init --deterministic",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onDevice(c.Context(), &f.deviceFlags, func(_ *config, admin api.Admin, name string) error {
				pass, err := a.passphrase(f.fd, "New passphrase of "+name, true)
				if err != nil {
					return err
				}
				defer clear(pass)
				args := tezsignKeysArgs{Passphrase: pass, Deterministic: deterministic}
				if _, err := call[string](c.Context(), a, admin, &f.deviceFlags, name, "init", args); err != nil {
					return err
				}
				a.say("%s is initialised", name)
				a.note("next: highwater tezsign new consensus")
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, true)
	c.Flags().BoolVar(&deterministic, "deterministic", false, "derive the keys from the seed")
	return c
}

func (a *app) tezsignNewCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "new ALIAS…", Short: "Make keys", Args: someAliases, Example: "  highwater tezsign new consensus companion",
		RunE: func(c *cobra.Command, args []string) error {
			return a.keysVerb(c.Context(), f, "new", args, "made", true, false)
		},
	}
	f = a.tezsignFlags(c, true)
	return a.addJSON(c)
}

func someAliases(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return hinted(usagef("%s wants at least one alias", c.CommandPath()), "e.g. consensus")
	}
	return nil
}

func (a *app) tezsignUnlockCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "unlock [ALIAS…]", Short: "Unlock keys; signing waits meanwhile", Args: cobra.ArbitraryArgs,
		Long: "Unlock keys with the passphrase. Only keys that are locked are unlocked, and no signature is made meanwhile: unlocking a\n" +
			"key that signs could make the gadget forget its mark. The gadget takes five tries in 30 seconds.",
		Example: "  highwater tezsign unlock consensus companion",
		RunE: func(c *cobra.Command, args []string) error {
			return a.keysVerb(c.Context(), f, "unlock", args, "unlocked", true, true)
		},
	}
	f = a.tezsignFlags(c, true)
	c.Flags().BoolVar(&f.all, "all", false, "all keys that are locked")
	return a.addJSON(c)
}

func (a *app) tezsignLockCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "lock [ALIAS…]", Short: "Lock keys", Args: cobra.ArbitraryArgs, Example: "  highwater tezsign lock --all",
		RunE: func(c *cobra.Command, args []string) error {
			return a.keysVerb(c.Context(), f, "lock", args, "locked", false, true)
		},
	}
	f = a.tezsignFlags(c, false)
	c.Flags().BoolVar(&f.all, "all", false, "all keys")
	return a.addJSON(c)
}

func (a *app) tezsignDeleteCmd() *cobra.Command {
	var f *tezsignFlags
	var yes bool
	c := &cobra.Command{
		Use: "delete ALIAS…", Short: "Delete keys from a gadget, for good", Args: someAliases,
		Long:    "Delete keys. They are gone unless the gadget was initialised with --deterministic and its seed lives.",
		Example: "  highwater tezsign delete old-companion",
		RunE: func(c *cobra.Command, args []string) error {
			if !yes {
				question := "The gadget forgets for good: " + strings.Join(args, ", ")
				if err := a.confirm(question, "delete", "--yes"); err != nil {
					return err
				}
			}
			return a.keysVerb(c.Context(), f, "delete", args, "deleted", true, false)
		},
	}
	f = a.tezsignFlags(c, true)
	c.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return a.addJSON(c)
}

// keysVerb runs a verb over keys, each of which has a result of its own.
func (a *app) keysVerb(ctx context.Context, f *tezsignFlags, verb string, aliases []string, done string, secret, choose bool) error {
	return a.onDevice(ctx, &f.deviceFlags, func(_ *config, admin api.Admin, name string) error {
		var err error
		if choose {
			if aliases, err = a.chooseKeys(ctx, admin, f, name, verb, aliases); err != nil {
				return err
			}
		}
		args := tezsignKeysArgs{Aliases: aliases}
		if secret {
			if args.Passphrase, err = a.passphrase(f.fd, "Passphrase of "+name, false); err != nil {
				return err
			}
			defer clear(args.Passphrase)
		}
		results, err := call[[]tezsignResult](ctx, a, admin, &f.deviceFlags, name, verb, args)
		if err != nil {
			return err
		}
		return a.showResults(results, done)
	})
}

func (a *app) showResults(results []tezsignResult, done string) error {
	failed := 0
	for _, r := range results {
		if r.Error != "" {
			failed++
		}
	}
	if a.jsonFlag {
		if err := a.json(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			switch {
			case r.Error != "":
				a.note("error: %s: %s", r.Alias, r.Error)
			case r.Note != "":
				a.say("%s: %s", r.Alias, r.Note)
			default:
				a.say("%s: %s %s", r.Alias, done, r.PKH)
			}
		}
	}
	if failed > 0 {
		return errSaid
	}
	return nil
}

// chooseKeys is the keys of the arguments, all with --all, or those that the operator picks on a terminal.
func (a *app) chooseKeys(ctx context.Context, admin api.Admin, f *tezsignFlags, name, verb string, aliases []string) ([]string, error) {
	if len(aliases) > 0 {
		if f.all {
			return nil, usagef("name keys, or say --all, not both")
		}
		return aliases, nil
	}
	info, err := call[tezsignInfo](ctx, a, admin, &f.deviceFlags, name, "info", struct{}{})
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
	case !a.interactive:
		return nil, hinted(usagef("name the keys to %s, or say --all", verb), "they are: "+strings.Join(fit, ", "))
	}
	return a.pick("Which keys to "+verb, fit)
}

func (a *app) tezsignSetLevelCmd() *cobra.Command {
	var f *tezsignFlags
	var level int64
	var repair bool
	c := &cobra.Command{
		Use: "set-level ALIAS", Short: "Raise a gadget's own marks of a key", Args: someAliases,
		Long: "Raise all three of the gadget's own marks of a key to LEVEL round 0. A key whose state the gadget has lost\n" +
			"(\"corrupted\") is set with --repair only, to more than the host's own mark.",
		Example: "  highwater tezsign set-level consensus --level 8000000",
		RunE: func(c *cobra.Command, args []string) error {
			l, err := levelFlag("level", level)
			if err != nil {
				return err
			}
			if len(args) != 1 {
				return usagef("one alias at a time")
			}
			return a.onDevice(c.Context(), &f.deviceFlags, func(_ *config, admin api.Admin, name string) error {
				q := tezsignLevelArgs{Alias: args[0], Level: l, Repair: repair}
				if _, err := call[string](c.Context(), a, admin, &f.deviceFlags, name, "set-level", q); err != nil {
					return err
				}
				a.say("%s: its own marks of %s are at level %d round 0", name, args[0], l)
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, false)
	c.Flags().Int64Var(&level, "level", -1, "the `LEVEL`")
	c.Flags().BoolVar(&repair, "repair", false, "the gadget lost this key's state, and I know up to where it signed")
	return c
}

func (a *app) tezsignLogsCmd() *cobra.Command {
	var f *tezsignFlags
	var lines int
	c := &cobra.Command{
		Use: "logs", Short: "Show the last lines of a gadget's log", Args: noArgs, Example: "  highwater tezsign logs --lines 50",
		RunE: func(c *cobra.Command, _ []string) error {
			if lines < 1 {
				return usagef("--lines %d: at least one", lines)
			}
			return a.onDevice(c.Context(), &f.deviceFlags, func(_ *config, admin api.Admin, name string) error {
				log, err := call[[]string](c.Context(), a, admin, &f.deviceFlags, name, "logs", lines)
				if err != nil {
					return err
				}
				if a.jsonFlag {
					return a.json(log)
				}
				for _, line := range log {
					a.say("%s", line)
				}
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, false)
	c.Flags().IntVar(&lines, "lines", 20, "how many `LINES`")
	return a.addJSON(c)
}

func (a *app) tezsignVersionCmd() *cobra.Command {
	var f *tezsignFlags
	c := &cobra.Command{
		Use: "version", Short: "Show what runs on a gadget", Args: noArgs, Example: "  highwater tezsign version",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onDevice(c.Context(), &f.deviceFlags, func(_ *config, admin api.Admin, name string) error {
				info, err := call[tezsignInfo](c.Context(), a, admin, &f.deviceFlags, name, "info", struct{}{})
				if err != nil {
					return err
				}
				if a.jsonFlag {
					return a.json(map[string]string{"name": name, "serial": info.Serial, "version": info.Version, "build_date": info.BuildDate})
				}
				a.say("%s: TezSign %s, built %s", name, info.Version, info.BuildDate)
				return nil
			})
		},
	}
	f = a.tezsignFlags(c, false)
	return a.addJSON(c)
}

// passphrase reads a secret from a file descriptor, or asks for it on the terminal; a new one is asked for twice.
func (a *app) passphrase(fd int, prompt string, isNew bool) ([]byte, error) {
	if fd >= 0 {
		return a.readSecret(fd)
	}
	if !a.interactive {
		return nil, hinted(errors.New("a passphrase is wanted, and nobody is there to type it"), "for scripts: --passphrase-fd 3 3<FILE")
	}
	first, err := a.askSecret(prompt)
	if err != nil || !isNew {
		return first, err
	}
	second, err := a.askSecret("The same again")
	if err != nil {
		return nil, err
	}
	defer clear(second)
	if string(first) != string(second) {
		clear(first)
		return nil, errors.New("the two are not the same: nothing was changed")
	}
	return first, nil
}
