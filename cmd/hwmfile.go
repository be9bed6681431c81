package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"highwater/api"
	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/hwm/interchange"
	"highwater/internal/tezos"
)

func (a *app) hwmExportCmd() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "export", Short: "Write the watermarks to a file, for another machine", Args: noArgs,
		Long: "Write the watermarks as one JSON file, to take to another machine (\"highwater hwm import\" there merges by maximum).\n" +
			"What this instance signs afterwards is not in it: put it on standby first, or use a handover.",
		Example: "  highwater hwm export --out marks.json",
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAdmin(c.Context(), false, func(cfg *config, admin api.Admin) error {
				text, err := exportMarks(c.Context(), cfg, admin)
				if err != nil {
					return err
				}
				if out == "" {
					_, err = a.out.Write(text)
					return err
				}
				if err := os.WriteFile(out, text, 0o600); err != nil {
					return err
				}
				a.note("wrote %s", out)
				return nil
			})
		},
	}
	c.Flags().StringVar(&out, "out", "", "write to this `FILE` instead of standard output")
	return c
}

func exportMarks(ctx context.Context, cfg *config, admin api.Admin) ([]byte, error) {
	marks, err := admin.Marks(ctx)
	if err != nil {
		return nil, err
	}
	rows := []interchange.Row{}
	for _, m := range marks {
		if m.Level == nil || m.Chain != cfg.chainID {
			continue
		}
		rows = append(rows, interchange.Row{Chain: m.Chain, PKH: m.PKH, Kind: m.Kind, Level: *m.Level, Round: *m.Round, UpdatedAt: *m.UpdatedAt})
	}
	return interchange.Write(cfg.chainID, rows)
}

const importLong = `Merge watermarks from files by maximum: a mark is raised or kept, never lowered. It reads what "highwater hwm export"
wrote, octez-signer's *_high_watermarks, octez-baker's *_highwatermarks, and Signatory's watermark_v2/CHAIN.json; the file's
name tells which. With --device the marks that a connected device has of itself.

A bundle ("highwater bundle export") is taken when the other instance of the pair signed it, or the one that --key names.

Stop the other signer first: what it signs after its file was copied is not in it.`

func (a *app) hwmImportCmd() *cobra.Command {
	var req api.RaiseRequest
	var devices []string
	var trust bundleTrust
	c := &cobra.Command{
		Use: "import [FILE…]", Short: "Merge watermarks from files of this or other signers", Long: importLong, Args: cobra.ArbitraryArgs,
		Example: "  highwater hwm import --dry-run ~/.tezos-signer/*_high_watermarks",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args)+len(devices) == 0 {
				return hinted(usagef("name files, or a --device"), "see: highwater hwm import --help")
			}
			if err := trust.parse(); err != nil {
				return err
			}
			return a.withAdmin(c.Context(), len(devices) > 0, func(cfg *config, admin api.Admin) error {
				rows, refused, err := readMarkFiles(c.Context(), cfg, admin, args, trust)
				if err != nil {
					return err
				}
				for _, name := range devices {
					more, err := a.deviceRows(c.Context(), cfg, admin, name)
					if err != nil {
						return err
					}
					rows = append(rows, more...)
				}
				req.Rows = rows
				return a.importRows(c.Context(), admin, req, refused)
			})
		},
	}
	c.Flags().BoolVar(&req.DryRun, "dry-run", false, "show what would become of each row, and change nothing")
	c.Flags().BoolVar(&req.Far, "far", false, fmt.Sprintf("the levels are right, although more than %d above the highest known", api.FarLevels))
	c.Flags().StringSliceVar(&devices, "device", nil, "the marks of this connected device, by its `NAME` (repeatable)")
	trust.flag(c)
	return a.addJSON(c)
}

// readMarkFiles reads files of watermarks. A row of another chain is refused by itself; a file that is damaged is an error, and
// nothing of any file is taken.
func readMarkFiles(
	ctx context.Context, cfg *config, admin api.Admin, paths []string, trust bundleTrust,
) (rows []hwm.ImportRow, refused []api.ChangeRow, err error) {
	for _, path := range paths {
		data, err := readMarkFile(path)
		if err != nil {
			return nil, nil, err
		}
		if bundle.Is(data) {
			more, bundleErr := trust.rows(ctx, cfg, admin, path, data)
			if bundleErr != nil {
				return nil, nil, bundleErr
			}
			rows = append(rows, more...)
			continue
		}
		parsed, _, err := interchange.Parse(filepath.Base(path), data, cfg.chainID)
		if err != nil {
			return nil, nil, hinted(err, "nothing was imported; the file must keep the name that its signer gave it")
		}
		for _, r := range parsed {
			if r.Chain != cfg.chainID && r.Chain != (tezos.ChainID{}) {
				at := hwm.Position{Level: r.Level, Round: r.Round}
				refused = append(refused, api.ChangeRow{PKH: r.PKH, Kind: r.Kind, After: at, Result: "refused", Why: "it is for chain " + r.Chain.String()})
				continue
			}
			rows = append(rows, hwm.ImportRow{PKH: r.PKH, Kind: r.Kind, Level: r.Level, Round: r.Round})
		}
	}
	return rows, refused, nil
}

func readMarkFile(path string) ([]byte, error) {
	return readFile(path, interchange.MaxSize, "a watermark file")
}

// deviceRows asks a device for its own marks.
func (a *app) deviceRows(ctx context.Context, cfg *config, admin api.Admin, name string) ([]hwm.ImportRow, error) {
	for _, d := range cfg.Devices {
		if d.Name != name {
			continue
		}
		f := &deviceFlags{kind: d.Kind, device: name, timeout: defaultWait}
		if d.Kind == kindLedger {
			v, err := call[ledgerView](ctx, a, admin, f, name, "info", ledgerInfoArgs{Compare: true})
			if err != nil {
				return nil, err
			}
			return ledgerRows(v)
		}
		info, err := call[tezsignInfo](ctx, a, admin, f, name, "info", struct{}{})
		if err != nil {
			return nil, err
		}
		return gadgetRows(info)
	}
	return nil, hinted(fmt.Errorf("no device %q is configured", name), "see: highwater status")
}

func ledgerRows(v ledgerView) ([]hwm.ImportRow, error) {
	if v.PKH == "" {
		return nil, errors.New("the Ledger has no authorised key, so its mark belongs to none")
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

func gadgetRows(info tezsignInfo) ([]hwm.ImportRow, error) {
	var rows []hwm.ImportRow
	for _, k := range info.Keys {
		for _, m := range k.Marks {
			rows = append(rows, hwm.ImportRow{PKH: k.PKH, Kind: m.Kind, Level: m.Level, Round: m.Round})
		}
	}
	if len(rows) == 0 {
		return nil, hinted(errors.New("the gadget tells no marks: it does so for unlocked keys only"), "highwater tezsign unlock --all")
	}
	return rows, nil
}

func (a *app) importRows(ctx context.Context, admin api.Admin, req api.RaiseRequest, refused []api.ChangeRow) error {
	changes := []api.ChangeRow{}
	if len(req.Rows) > 0 {
		var err error
		if changes, err = admin.Raise(ctx, req); err != nil {
			return err
		}
	}
	changes = append(changes, refused...)
	if a.jsonFlag {
		return a.json(changes)
	}
	if len(changes) == 0 {
		a.say("the files hold no watermarks")
		return nil
	}
	if err := a.changesTable(changes); err != nil {
		return err
	}
	if req.DryRun {
		a.note("nothing was changed (--dry-run)")
	}
	return nil
}
