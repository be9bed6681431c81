package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/words"
	"highwater/operate"
)

func (a *app) keysCmd() *cobra.Command {
	list := a.AddJSON(&cobra.Command{
		Use: "list", Short: "List the keys of the signer", Args: cli.NoArgs, Example: "  highwater keys list --json",
		Long: "List the keys that the signer knows: address, curve, alias, the device that holds the key, its\n" +
			"health, and what to do when the key cannot sign.",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.WithAdmin(c.Context(), true, func(_ *config.Config, admin operate.Admin) error {
				keys, err := admin.Keys(c.Context())
				if err != nil {
					return err
				}
				if a.AsJSON {
					return a.JSON(keys)
				}
				if len(keys) == 0 {
					a.Note("hint: no key is known: connect a device with a key, and see: highwater check")
				}
				return a.keysTable(keys)
			})
		},
	})
	show := a.AddJSON(&cobra.Command{
		Use: "show KEY", Short: "Show a key, by address or alias", Args: cli.OneKey,
		Example: "  highwater keys show consensus",
		Long: "Show a key, by address or alias: the public key, its device, spare devices with the same key,\n" +
			"and the kinds that the key may sign.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.WithAdmin(c.Context(), true,
				func(_ *config.Config, admin operate.Admin) error { return a.showKey(c.Context(), admin, args[0]) })
		},
	})
	pop := a.AddJSON(&cobra.Command{
		Use: "pop KEY", Short: "Show the proof of possession of a tz4 key", Args: cli.OneKey,
		Example: "  highwater keys pop consensus",
		Long: "Show the proof of possession of a tz4 key. octez-client wants the proof when a tz4 key registers\n" +
			"as a baker, or becomes a consensus key or a companion key.",
		RunE: func(c *cobra.Command, args []string) error {
			return a.WithAdmin(c.Context(), true,
				func(_ *config.Config, admin operate.Admin) error { return a.showProof(c.Context(), admin, args[0]) })
		},
	})
	return cli.Group("keys", "List and show keys",
		"The signer's keys: the keys of the configuration, or all keys of the devices.",
		"  highwater keys list", list, show, pop)
}

func (a *app) keysTable(keys []operate.KeyRow) error {
	rows := [][]string{}
	for _, k := range keys {
		rows = append(rows, []string{
			k.PKH.String(), k.Curve, words.Dash(words.ShortAlias(k.Alias)), words.Dash(k.Device),
			a.PaintHealth(device.Health(k.Health)), words.Dash(k.Advice),
		})
	}
	return a.Table([]string{"key", "curve", "alias", "device", "health", "what to do"}, rows)
}

// findKey finds a key by address or alias.
func findKey(ctx context.Context, admin operate.Admin, name string) (operate.KeyRow, error) {
	keys, err := admin.Keys(ctx)
	if err != nil {
		return operate.KeyRow{}, err
	}
	return cli.FindKey(keys, name)
}

func (a *app) showKey(ctx context.Context, admin operate.Admin, name string) error {
	k, err := findKey(ctx, admin, name)
	if err != nil {
		return err
	}
	if a.AsJSON {
		return a.JSON(k)
	}
	allow := []string{}
	for _, kind := range k.Allow {
		allow = append(allow, kind.String())
	}
	for _, line := range [][2]string{
		{"key", k.PKH.String()},
		{"public key", words.Dash(k.PublicKey)},
		{"curve", k.Curve},
		{"alias", words.Dash(k.Alias)},
		{"device", words.Dash(k.Device)},
		{"spares", words.Dash(strings.Join(k.Spares, ", "))},
		{"health", k.Health},
		{"may sign", strings.Join(allow, ", ")},
	} {
		a.Say("%-11s %s", line[0], line[1])
	}
	return nil
}

func (a *app) showProof(ctx context.Context, admin operate.Admin, name string) error {
	k, err := findKey(ctx, admin, name)
	if err != nil {
		return err
	}
	proof, err := admin.Prove(ctx, k.PKH)
	if err != nil {
		return err
	}
	if a.AsJSON {
		return a.JSON(proof)
	}
	a.Say("%s", proof.Proof)
	return nil
}
