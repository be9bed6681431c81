package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/doctor"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
	"highwater/store"
)

const initLong = `Make ready what "highwater serve" needs: a configuration with comments (if there is none yet at --config), the state
directory with an empty watermark file, and a look at the devices and their keys.

Nothing that exists is overwritten. A new instance is on standby, and its keys have no watermarks: it signs nothing before it is
activated with a level above all that they ever signed ("highwater activate --level LEVEL"). What to do next is said at the end.`

type initFlags struct {
	yes, storeOnly  bool
	chain, stateDir string
}

func (a *app) initCmd() *cobra.Command {
	var f initFlags
	c := &cobra.Command{
		Use: "init", Short: "Write a configuration, create the watermark file, look at the devices", Long: initLong, Args: noArgs,
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
	c.Flags().StringVar(&f.chain, "chain", tezos.Mainnet.String(), "chain `ID`, or mainnet or ghostnet, for a new configuration")
	c.Flags().StringVar(&f.stateDir, "state-dir", config.DefaultStateDir, "state `DIRECTORY` for a new configuration")
	return c
}

func (a *app) init(ctx context.Context, f initFlags) error {
	path := config.PathOf(a.configFlag)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := a.Confirmable(f.yes || hasStore(f.stateDir)); err != nil {
			return err
		}
		if err := a.writeConfig(path, f); err != nil {
			return err
		}
	}
	cfg, err := config.Load(path)
	if err != nil {
		return err
	}
	if err := a.createStore(ctx, cfg, f); err != nil {
		return err
	}
	if f.storeOnly {
		return nil
	}
	return a.lookAtDevices(ctx, cfg)
}

func (a *app) writeConfig(path string, f initFlags) error {
	stateDir, err := filepath.Abs(f.stateDir)
	if err != nil {
		return err
	}
	if err = os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // as /etc is
		return err
	}
	found, err := daemon.LookAtBuses()
	if err != nil {
		a.Note("warning: the USB buses could not be looked at: %s", err)
	}
	for _, c := range found {
		a.Say("found %s", c)
		if c.Finding.Hint != "" {
			a.Note("hint: %s", c.Finding.Hint)
		}
	}
	if err = os.WriteFile(path, fmt.Appendf(nil, configTemplate, stateDir, f.chain, deviceBlocks(found)), 0o644); err != nil { //nolint:gosec // no secret in it
		return err
	}
	a.Say("wrote a configuration:  %s", path)
	a.Note("hint: look at its [[device]] before you go on")
	return nil
}

func hasStore(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, store.FileName))
	return err == nil
}

func (a *app) createStore(ctx context.Context, cfg *config.Config, f initFlags) error {
	file := filepath.Join(cfg.StateDir, store.FileName)
	if hasStore(cfg.StateDir) {
		a.Say("kept the watermark file: %s", file)
		return nil
	}
	question := fmt.Sprintf("This creates a new, empty watermark file in %s. It knows nothing of what was signed.\n"+
		"If there was such a file before: is its disk mounted?\n"+
		"If these keys ever signed with another state directory, bring that one instead (or import its marks).", cfg.StateDir)
	if err := a.Confirm(f.yes, question, "create"); err != nil {
		return err
	}
	if err := store.Create(ctx, cfg.StateDir, time.Now()); err != nil {
		return daemon.ExplainStore(cfg, err)
	}
	a.Say("created the watermark file: %s", file)
	return nil
}

func (a *app) lookAtDevices(ctx context.Context, cfg *config.Config) error {
	admin, done, err := a.admin(ctx, cfg, true)
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
	for _, d := range st.Devices {
		a.Say("device %s: %s", d.Name, strings.Join(strings.Fields(string(d.Health)+" "+d.Model+" "+d.App), " "))
		for _, text := range d.Remarks() {
			a.Note("hint: %s", text)
		}
		for _, k := range st.Keys {
			if f := k.Unable(); f != nil && f.Reason == signer.KeyNoDevice {
				continue // the configuration names the device, and the device does not hold the key
			}
			if k.Device == d.Name || slices.Contains(k.Spares, d.Name) {
				a.Say("  %s  %s", k.PKH, k.Alias)
			}
		}
	}
	a.warnKeys(st)
	a.adviseFirstMarks(st)
	return nil
}

// adviseFirstMarks says how keys get their first watermarks, where some have none.
func (a *app) adviseFirstMarks(st operate.Status) {
	if doctor.MissingMarks(st) == 0 && len(st.Marks) > 0 {
		if st.Role.Role != hwm.Active {
			a.Note("next: highwater activate")
		}
		return
	}
	a.Note("next, for keys that signed elsewhere before: stop that signer, import its marks (docs/migrate.md), then: %sHEAD+2", doctor.RaiseCommand(st))
	a.Note("next, for keys that never signed: %sHEAD", doctor.RaiseCommand(st))
	a.Note("HEAD is the level that the chain is at: nothing at or below is signed")
}

const configTemplate = `# Highwater. Every setting is explained in docs/configuration.md; a setting that does not exist is an error.

state_dir = %q
chain     = %q       # the only chain that is signed for
# node    = "http://127.0.0.1:8732"   # your octez node, for failover and the guard

[server]
listen = "127.0.0.1:6732"             # or "unix:/run/highwater/signer.sock"
# authorized_keys  = ["edpk…"]        # public keys of clients that may ask; none: no authentication
# known_keys       = false            # answer /known_keys
# prove_possession = false            # answer /bls_prove_possession
# budget           = "3s"             # what a request has, faults of devices included

[monitor]
# listen = "127.0.0.1:6733"           # health, metrics, status page

# The devices, each pinned. A Ledger by its four words (highwater ledger list), a TezSign by its serial.
%s# Without any [[key]]: every key that the devices offer, for all kinds.
# [[key]]
# pkh    = "tz1…"
# alias  = "consensus"
# device = ["left"]                   # in order of preference
# allow  = ["block", "preattestation", "attestation"]
`

// deviceBlocks is the part of a new configuration that names the connected devices; an example when there are none.
func deviceBlocks(found []daemon.Connected) string {
	if len(found) == 0 {
		return exampleDevice
	}
	var out strings.Builder
	for i, c := range found {
		fmt.Fprintf(&out, "# %s\n[[device]]\nname      = \"%s%d\"\nkind      = %q\ntransport = \"usb\"\n", c, c.Kind, i+1, c.Kind)
		if c.Kind == config.KindTezSign {
			fmt.Fprintf(&out, "serial    = %q\n", c.Finding.SerialNum)
		} else {
			out.WriteString("# id      = \"four-words-like-this\"  # see: highwater ledger list\n")
		}
		out.WriteString("\n")
	}
	return out.String()
}

const exampleDevice = `[[device]]
name      = "left"
kind      = "ledger"                  # or "tezsign"
# id      = "four-words-like-this"
transport = "usb"

`
