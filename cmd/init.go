package cmd

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/doctor"
	"highwater/internal/setup"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
)

const initLong = `Prepare "highwater serve": make a configuration with comments (unless --config exists) and the state
directory with an empty watermark file, and look at the devices and their keys. No existing file is overwritten.

A new instance is on standby, and its keys have no watermarks. Nothing is signed before an activation with a
level above all levels that the keys ever signed ("highwater activate --level LEVEL"). The last lines name the
next step.`

type initFlags struct {
	yes, storeOnly  bool
	chain, stateDir string
}

func (a *app) initCmd() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use: "init", Short: "Write a configuration, create the watermark file, look at the devices", Long: initLong,
		Args:    cli.NoArgs,
		Example: "  highwater init --config /etc/highwater/highwater.toml --chain NetXdQprcVkpaWU",
		RunE: func(c *cobra.Command, _ []string) error {
			chain, err := tezos.ParseNetwork(f.chain)
			if err != nil {
				return terminal.Usagef("--chain: %w", err)
			}
			f.chain = chain.String()
			return a.init(c.Context(), f)
		},
	}
	c.Flags().BoolVar(&f.yes, "yes", false, "do not ask, for scripts")
	c.Flags().BoolVar(&f.storeOnly, "store-only", false, "only create the watermark file, do not look at the devices")
	c.Flags().StringVar(&f.chain, "chain", tezos.Mainnet.String(),
		"chain for a new configuration: a chain `ID`, or a name: mainnet, shadownet")
	c.Flags().StringVar(&f.stateDir, "state-dir", config.DefaultStateDir, "state `DIRECTORY` for a new configuration")
	return c
}

func (a *app) init(ctx context.Context, f initFlags) error {
	path := config.PathOf(a.ConfigFlag)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := a.Confirmable(f.yes || setup.HasStore(f.stateDir)); err != nil {
			return err
		}
		if err := setup.Config(a.Terminal, path, f.chain, f.stateDir); err != nil {
			return err
		}
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if err := setup.Store(ctx, a.Terminal, cfg, f.yes); err != nil {
		return err
	}
	if f.storeOnly {
		return nil
	}
	return a.lookAtDevices(ctx, cfg)
}

func (a *app) lookAtDevices(ctx context.Context, cfg *config.Config) error {
	admin, done, err := a.Admin(ctx, cfg, true)
	if err != nil {
		return err
	}
	st, err := admin.Status(ctx)
	if err != nil {
		return errors.Join(err, done())
	}
	if err = done(); err != nil {
		return err
	}
	held := keysByDevice(st.Keys)
	for _, d := range st.Devices {
		a.Say("device %s: %s", d.Name, strings.Join(strings.Fields(string(d.Health)+" "+d.Model+" "+d.App), " "))
		for _, text := range d.Remarks() {
			a.Note("hint: %s", text)
		}
		for _, k := range held[d.Name] {
			a.Say("  %s  %s", k.PKH, k.Alias)
		}
	}
	a.WarnKeys(st)
	a.adviseFirstMarks(st)
	return nil
}

// keysByDevice are the keys of each device, by the device's name.
func keysByDevice(keys []operate.KeyRow) map[string][]operate.KeyRow {
	out := map[string][]operate.KeyRow{}
	for _, k := range keys {
		if f := k.Unable(); f != nil && f.Reason == signer.KeyNoDevice {
			continue // the configuration names the device, and the device does not hold the key
		}
		for _, name := range append([]string{k.Device}, k.Spares...) {
			out[name] = append(out[name], k)
		}
	}
	return out
}

// adviseFirstMarks says how keys get their first watermarks, where some have none.
func (a *app) adviseFirstMarks(st operate.Status) {
	if doctor.MissingMarks(st) == 0 && len(st.Marks) > 0 {
		if st.Role.Role != hwm.Active {
			a.Note("next: highwater activate")
		}
		return
	}
	a.Note("next, for keys with an earlier signer: stop the earlier signer, and import its marks (docs/migrate.md)")
	a.Note("next, for all keys: %s", doctor.RaiseCommand(st))
	a.Note("nothing at or below the level of this command is signed")
}
