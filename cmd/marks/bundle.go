package marks

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/internal/config"
	"highwater/internal/durable"
	"highwater/internal/markfiles"
	"highwater/internal/terminal"
	"highwater/internal/words"
	"highwater/operate"
)

const bundleLong = `A bundle is a file for a second machine without a link to the first: the first instance's
watermarks, ceilings, epoch, public keys and their allowed kinds, signed by the instance. A bundle holds no
secret, and gives nobody the right to sign.

"highwater hwm import" merges a bundle's watermarks by maximum, if the bundle is signed by the peer, or by the
instance named by --key.`

func (a *app) bundleCmd() *cobra.Command {
	return cli.Group("bundle", "Carry watermarks, keys and policy to a second machine in a signed file", bundleLong,
		"  highwater bundle export --out /media/stick/bundle.json", a.bundleExportCmd(), a.bundleVerifyCmd(),
		a.bundleDiffCmd())
}

func (a *app) bundleExportCmd() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "export --out FILE", Short: "Write a bundle of the instance", Args: cli.NoArgs,
		Long: "Write the marks, ceilings, epoch and public keys of the instance to a new file, signed by the\n" +
			"instance key. Later signatures are not in the file.",
		Example: "  highwater bundle export --out /media/stick/bundle.json",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := cli.Wants(c, "out"); err != nil {
				return err
			}
			if err := durable.MustBeNew(out); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), false,
				func(_ *config.Config, admin operate.Admin) error { return a.exportBundle(c.Context(), admin, out) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "write to a new `FILE`")
	return a.AddJSON(c)
}

func (a *app) exportBundle(ctx context.Context, admin operate.Admin, out string) error {
	b, err := admin.Bundle(ctx)
	if err != nil {
		return err
	}
	text, err := bundle.Encode(&b)
	if err != nil {
		return err
	}
	if err := durable.Create(out, text); err != nil {
		return err
	}
	if a.AsJSON {
		return a.JSON(b)
	}
	a.Say("wrote %s: %s, %s, of %s", out, words.Count(len(b.Keys), "key"), words.Count(len(b.Marks), "mark"), b.Instance)
	if b.Role == hwm.Active {
		a.Note("hint: the instance is active: signatures from now on are not in the file")
	}
	a.Note("next, on the second machine: highwater bundle diff %s, and: highwater hwm import %s", out, out)
	return nil
}

func (a *app) bundleVerifyCmd() *cobra.Command {
	var trust cli.TrustFlag
	c := &cobra.Command{
		Use: "verify FILE", Short: "Tell whether a bundle is whole, and name the signer", Args: oneFile,
		Long: "Check a bundle's signature and signer. The signer must be the peer, or the instance named by\n" +
			"--key. Exit status 1 when the bundle is not whole, or when the signer is neither. With --key no\n" +
			"configuration is needed.",
		Example: "  highwater bundle verify /media/stick/bundle.json",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withBundle(c.Context(), args[0], &trust, false, func(b *bundle.Bundle, who string, _ operate.Admin) error {
				return a.showBundle(b, who)
			})
		},
	}
	trust.Flag(c)
	return a.AddJSON(c)
}

func (a *app) bundleDiffCmd() *cobra.Command {
	var trust cli.TrustFlag
	c := &cobra.Command{
		Use: "diff FILE", Short: "Compare a bundle with the instance here", Args: oneFile,
		Long: "Compare a bundle with the instance here, and change nothing. Shown are the marks that an import\n" +
			"would raise, the keys missing on either side, the allowed kinds, and the ceilings. An import\n" +
			"takes the marks only: each machine keeps its own keys, allowed kinds and ceilings.",
		Example: "  highwater bundle diff /media/stick/bundle.json",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withBundle(c.Context(), args[0], &trust, true,
				func(b *bundle.Bundle, who string, admin operate.Admin) error {
					return a.diffBundle(c.Context(), admin, b, who, args[0])
				})
		},
	}
	trust.Flag(c)
	return a.AddJSON(c)
}

func oneFile(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return terminal.Usagef("%s wants one file", c.CommandPath())
	}
	return nil
}

// withBundle opens a bundle and checks its signer. The instance is opened only when the check or f (here) needs the
// instance.
func (a *app) withBundle(ctx context.Context, path string, trust *cli.TrustFlag, here bool,
	f func(b *bundle.Bundle, who string, admin operate.Admin) error,
) error {
	if err := trust.Parse(); err != nil {
		return err
	}
	data, err := markfiles.ReadFile(path)
	if err != nil {
		return err
	}
	b, err := markfiles.OpenBundle(path, data)
	if err != nil {
		return err
	}
	if trust.Key != nil && !here {
		who, err := trust.Check(ctx, nil, operate.Admin{}, b)
		if err != nil {
			return err
		}
		return f(b, who, operate.Admin{})
	}
	return a.WithAdmin(ctx, false, func(cfg *config.Config, admin operate.Admin) error {
		who, err := trust.Check(ctx, cfg, admin, b)
		if err != nil {
			return err
		}
		return f(b, who, admin)
	})
}

func (a *app) showBundle(b *bundle.Bundle, who string) error {
	if a.AsJSON {
		return a.JSON(b)
	}
	a.sayBundle(b, who)
	return nil
}

func (a *app) sayBundle(b *bundle.Bundle, who string) {
	a.Say("instance  %s: %s", b.Instance, who)
	a.Say("written   %s, %s ago; chain %s", words.Time(b.When), words.Age(time.Since(b.When)), b.Chain)
	a.Say("then      %s, epoch %d; %s, %s, %s", b.Role, b.Epoch, words.Count(len(b.Keys), "key"),
		words.Count(len(b.Marks), "mark"), words.Count(len(b.Ceilings), "ceiling"))
	if b.Role == hwm.Active {
		a.Note("hint: the writer was active: the writer's later signatures are not in the file")
	}
}

// bundleDiff lists the marks that an import would raise, and all other differences.
type bundleDiff struct {
	Instance hwm.InstanceID      `json:"instance"`
	When     time.Time           `json:"when"`
	Marks    []operate.ChangeRow `json:"marks"`
	Differs  []string            `json:"differs"`
}

func (a *app) diffBundle(ctx context.Context, admin operate.Admin, b *bundle.Bundle, who, file string) error {
	d := bundleDiff{Instance: b.Instance, When: b.When, Marks: []operate.ChangeRow{}, Differs: []string{}}
	if rows := b.Rows(); len(rows) > 0 {
		// A dry run raises nothing, so no confirmation is needed.
		changes, err := admin.Raise(ctx, operate.RaiseRequest{Rows: rows, DryRun: true, Far: true})
		if err != nil {
			return err
		}
		d.Marks = changes
	}
	keys, err := admin.Keys(ctx)
	if err != nil {
		return err
	}
	marks, err := admin.Marks(ctx)
	if err != nil {
		return err
	}
	d.Differs = append(differingKeys(b, keys), differingCeilings(b, marks)...)
	if a.AsJSON {
		return a.JSON(d)
	}
	a.sayBundle(b, who)
	a.Say("")
	if err := a.changesTable(d.Marks); err != nil {
		return err
	}
	for _, text := range d.Differs {
		a.Say("differs: %s", text)
	}
	a.Note("nothing was changed; to raise the marks: highwater hwm import %s", file)
	return nil
}

// differingKeys compares the keys and their kinds.
func differingKeys(b *bundle.Bundle, here []operate.KeyRow) []string {
	out := []string{}
	for _, k := range b.Keys {
		at := slices.IndexFunc(here, func(row operate.KeyRow) bool { return row.PKH == k.PKH })
		if at < 0 {
			out = append(out, fmt.Sprintf("the bundle has key %s, the instance here has not", k.PKH))
			continue
		}
		allow := slices.Sorted(slices.Values(here[at].Allow))
		if !slices.Equal(allow, k.Allow) {
			out = append(out, fmt.Sprintf("%s may sign %v in the bundle, %v here", k.PKH, k.Allow, allow))
		}
	}
	for _, row := range here {
		if !slices.ContainsFunc(b.Keys, func(k bundle.Key) bool { return k.PKH == row.PKH }) {
			out = append(out, fmt.Sprintf("the instance here has key %s, the bundle has not", row.PKH))
		}
	}
	return out
}

func differingCeilings(b *bundle.Bundle, marks []operate.MarkRow) []string {
	out := []string{}
	for _, c := range b.Ceilings {
		here := "none"
		for _, m := range marks {
			if m.PKH == c.PKH && m.Ceiling != nil {
				here = fmt.Sprint(*m.Ceiling)
			}
		}
		if here != fmt.Sprint(c.Level) {
			out = append(out, fmt.Sprintf("the ceiling of %s is %d in the bundle, %s here", c.PKH, c.Level, here))
		}
	}
	return out
}
