// Package markfiles reads and writes files of watermarks: bundles, and the files of Highwater and of foreign signers.
package markfiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"highwater/hwm"
	"highwater/hwm/bundle"
	"highwater/hwm/interchange"
	"highwater/internal/config"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/operate"
)

// Content is the content of files of watermarks.
type Content struct {
	Rows    []hwm.ImportRow
	Bundles []operate.BundleHead // of the bundles with a head of an audit log
	Refused []operate.ChangeRow
}

// ReadAll reads files of watermarks. A row of a foreign chain is refused alone. With a damaged file, ReadAll fails, and
// gives no row of any file.
func ReadAll(
	ctx context.Context, cfg *config.Config, admin operate.Admin, paths []string, trust Trust,
) (out Content, err error) {
	for _, path := range paths {
		data, err := ReadFile(path)
		if err != nil {
			return Content{}, err
		}
		if bundle.Is(data) {
			b, bundleErr := trust.open(ctx, cfg, admin, path, data)
			if bundleErr != nil {
				return Content{}, bundleErr
			}
			out.Rows = append(out.Rows, b.Rows()...)
			if b.AuditHead != nil && len(b.Marks) > 0 {
				out.Bundles = append(out.Bundles, operate.BundleHead{Instance: b.Instance, Head: *b.AuditHead})
			}
			continue
		}
		parsed, format, err := interchange.Parse(filepath.Base(path), data, cfg.ChainID)
		if err != nil {
			return Content{}, hints.Add(err, hintFor(err))
		}
		if err := notReplaced(format, path, paths); err != nil {
			return Content{}, err
		}
		for _, r := range parsed {
			if r.Chain != cfg.ChainID && r.Chain != (tezos.ChainID{}) {
				at := hwm.Position{Level: r.Level, Round: r.Round}
				out.Refused = append(out.Refused, operate.ChangeRow{
					PKH: r.PKH, Kind: r.Kind, After: at, Result: "refused", Why: "the file is for chain " + r.Chain.String(),
				})
				continue
			}
			out.Rows = append(out.Rows, hwm.ImportRow{PKH: r.PKH, Kind: r.Kind, Level: r.Level, Round: r.Round})
		}
	}
	return out, nil
}

func hintFor(err error) string {
	switch {
	case errors.Is(err, interchange.ErrUnknownFormat):
		return "nothing was imported; give the file the name from the signer again: see docs/migrate.md"
	case errors.Is(err, interchange.ErrOtherChain):
		return "nothing was imported; choose the file of the configured chain, or the configuration of the file's chain"
	}
	return "nothing was imported; stop the signer and copy the file again, or set high enough marks: highwater hwm set"
}

// notReplaced refuses a file of an older Signatory beside a file of a newer Signatory. The newer release leaves the old
// directories in place, and their marks no longer rise.
func notReplaced(format interchange.Format, path string, others []string) error {
	if format != interchange.SignatoryV0 && format != interchange.SignatoryV1 {
		return nil
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	given := func(newer string) bool {
		return slices.ContainsFunc(others, func(o string) bool {
			abs, err := filepath.Abs(o)
			return err == nil && abs == newer
		})
	}
	for _, dir := range []string{"watermark_v2", "watermark_v1"} {
		newer := filepath.Join(filepath.Dir(path), "..", dir, filepath.Base(path))
		if newer == path || given(newer) {
			return nil
		}
		if _, err := os.Stat(newer); !errors.Is(err, os.ErrNotExist) {
			return hints.Add(errors.Join(fmt.Errorf(
				"%s is of an older release of Signatory, and %s is newer", path, newer), err),
				"nothing was imported; use "+dir+"/: highwater hwm import "+newer)
		}
	}
	return nil
}

// ReadFile reads one file of watermarks in any format, up to a bound.
func ReadFile(path string) ([]byte, error) {
	return durable.Read(path, interchange.MaxSize, "a watermark file")
}
