package marks

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"highwater/cmd/cli"
	"highwater/hwm"
	"highwater/hwm/interchange"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/internal/markfiles"
	"highwater/internal/terminal"
	"highwater/internal/tezos"
	"highwater/operate"
)

const exportLong = `Write the watermarks to a JSON file for a second machine, where "highwater hwm import" merges by
maximum. Later signatures of the exporting instance are not in the file: first put the instance on standby, or
use a handover.

With --format octez-signer or signatory the marks are written in the named signer's own form, into new files
below the directory --out, for a baker on the way to the named signer: see docs/migrate.md. An active instance
refuses these formats. No file is ever overwritten.`

func (a *app) hwmExportCmd() *cobra.Command {
	var out, format string
	c := &cobra.Command{
		Use: "export", Short: "Write the watermarks to files, for another machine or signer", Args: cli.NoArgs,
		Long:    exportLong,
		Example: "  highwater hwm export --out marks.json\n  highwater hwm export --format octez-signer --out marks",
		RunE: func(c *cobra.Command, _ []string) error {
			other := markfiles.OtherSigners[format] != nil
			switch {
			case !other && format != interchange.Highwater.String():
				return terminal.Usagef("--format %q: use highwater, octez-signer or signatory", format)
			case other && out == "":
				return hints.Add(terminal.Usagef("--format %s writes a directory: --out is missing", format), "e.g. --out marks")
			}
			return a.WithAdmin(c.Context(), false, func(cfg *config.Config, admin operate.Admin) error {
				if other {
					return a.leave(c.Context(), cfg, admin, format, out)
				}
				return a.exportFile(c.Context(), cfg, admin, out)
			})
		},
	}
	c.Flags().StringVar(&out, "out", "",
		"write to a new `FILE` instead of standard output; for a foreign signer, to files below a directory")
	c.Flags().StringVar(&format, "format", interchange.Highwater.String(),
		"write in the form of `PROGRAM`: highwater, octez-signer, signatory")
	return c
}

func (a *app) exportFile(ctx context.Context, cfg *config.Config, admin operate.Admin, out string) error {
	if out != "" {
		if err := durable.MustBeNew(out); err != nil {
			return err
		}
	}
	rows, _, err := markRows(ctx, cfg, admin)
	if err != nil {
		return err
	}
	text, err := interchange.Write(cfg.ChainID, rows)
	if err != nil {
		return err
	}
	if out == "" {
		_, err = a.Out.Write(text)
		return err
	}
	if err := durable.Create(out, text); err != nil {
		return err
	}
	a.Note("wrote %s", out)
	return nil
}

// markRows are the marks of our chain, and the keys and kinds without a mark.
func markRows(ctx context.Context, cfg *config.Config, admin operate.Admin) (
	rows []interchange.Row, none []operate.MarkRow, err error,
) {
	marks, err := admin.Marks(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, m := range marks {
		switch {
		case m.Chain != cfg.ChainID:
		case m.Level == nil:
			none = append(none, m)
		default:
			rows = append(rows, interchange.Row{
				Chain: m.Chain, PKH: m.PKH, Kind: m.Kind, Level: *m.Level, Round: *m.Round, UpdatedAt: *m.UpdatedAt,
			})
		}
	}
	return rows, none, nil
}

const importLong = `Merge watermarks from files by maximum: a mark is raised or kept, never lowered. The name of a
file tells its format:

  any name                  an export of "highwater hwm export"
  *_high_watermarks         octez-signer
  *_highwatermarks          octez-baker
  watermark_v2/CHAIN.json   Signatory (before: watermark_v1/, watermark/)

With --device the marks of a connected device are merged.

A bundle ("highwater bundle export") is taken when the signer is the peer, or the instance named by --key.

Stop the foreign signer first: its signatures after the copy are not in the file.`

func (a *app) hwmImportCmd() *cobra.Command {
	var req operate.RaiseRequest
	var devices []string
	var trust cli.TrustFlag
	c := &cobra.Command{
		Use: "import [FILE…]", Short: "Merge watermarks from files of Highwater or of foreign signers", Long: importLong,
		Args:    cobra.ArbitraryArgs,
		Example: "  highwater hwm import --dry-run ~/.tezos-signer/*_high_watermarks",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args)+len(devices) == 0 {
				return hints.Add(terminal.Usagef("name files, or a --device"), "see: highwater hwm import --help")
			}
			if err := trust.Parse(); err != nil {
				return err
			}
			return a.WithAdmin(c.Context(), len(devices) > 0, func(cfg *config.Config, admin operate.Admin) error {
				read, err := markfiles.ReadAll(c.Context(), cfg, admin, args, trust.Trust)
				if err != nil {
					return err
				}
				for _, name := range devices {
					more, err := a.deviceRows(c.Context(), cfg, admin, name)
					if err != nil {
						return err
					}
					read.Rows = append(read.Rows, more...)
				}
				req.Rows, req.Bundles = read.Rows, read.Bundles
				return a.importRows(c.Context(), admin, req, read.Refused)
			})
		},
	}
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "show the result for each row, and change nothing")
	c.Flags().BoolVar(&req.Far, "far", false,
		fmt.Sprintf("the levels are right, although more than %d above the highest known level", hwm.FarLevels))
	c.Flags().StringSliceVar(&devices, "device", nil,
		"the marks of a connected device, by the device's `NAME` (repeatable)")
	trust.Flag(c)
	return a.AddJSON(cli.Reasoned(c))
}

// deviceRows asks a device for its own marks.
func (a *app) deviceRows(ctx context.Context, cfg *config.Config, admin operate.Admin, name string) (
	[]hwm.ImportRow, error,
) {
	for _, d := range cfg.Devices {
		if d.Name != name {
			continue
		}
		f := &cli.DeviceFlags{Kind: d.Kind, Device: name, Timeout: cli.DefaultWait}
		if d.Kind == config.KindLedger {
			v, err := cli.Call[daemon.LedgerView](ctx, a.App, admin, f, name, "info", daemon.LedgerInfoArgs{Compare: true})
			if err != nil {
				return nil, err
			}
			return ledgerRows(v)
		}
		info, err := cli.Call[daemon.TezSignInfo](ctx, a.App, admin, f, name, "info", struct{}{})
		if err != nil {
			return nil, err
		}
		return gadgetRows(info)
	}
	return nil, hints.Add(fmt.Errorf("no device %q is configured", name), "see: highwater status")
}

func ledgerRows(v daemon.LedgerView) ([]hwm.ImportRow, error) {
	if v.PKH == "" {
		return nil, errors.New("the Ledger has no authorised key: the mark belongs to no key")
	}
	pkh, err := tezos.ParsePublicKeyHash(v.PKH)
	if err != nil {
		return nil, err
	}
	var rows []hwm.ImportRow
	for _, m := range v.Compare {
		rows = append(rows, hwm.ImportRow{PKH: pkh, Kind: m.Kind, Level: m.Device.Level, Round: m.Device.Round})
	}
	return rows, nil
}

func gadgetRows(info daemon.TezSignInfo) ([]hwm.ImportRow, error) {
	var rows []hwm.ImportRow
	for _, k := range info.Keys {
		for _, m := range k.Marks {
			rows = append(rows, hwm.ImportRow{PKH: k.PKH, Kind: m.Kind, Level: m.Level, Round: m.Round})
		}
	}
	if len(rows) == 0 {
		return nil, hints.Add(errors.New("the gadget tells no marks: a gadget tells the marks of unlocked keys only"),
			"highwater tezsign unlock --all")
	}
	return rows, nil
}

func (a *app) importRows(ctx context.Context, admin operate.Admin, req operate.RaiseRequest,
	refused []operate.ChangeRow,
) error {
	changes := []operate.ChangeRow{}
	if len(req.Rows) > 0 {
		if _, err := a.ConfirmFar(req.Far, req.DryRun, "import", func(far bool) (err error) {
			req.Far = far
			changes, err = admin.Raise(ctx, req)
			return err
		}); err != nil {
			return err
		}
	}
	changes = append(changes, refused...)
	if a.AsJSON {
		return a.JSON(changes)
	}
	if len(changes) == 0 {
		a.Say("the files hold no watermarks")
		return nil
	}
	if err := a.changesTable(changes); err != nil {
		return err
	}
	if req.DryRun {
		a.Note("nothing was changed (--dry-run)")
	}
	return nil
}
