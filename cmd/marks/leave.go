package marks

import (
	"context"
	"errors"
	"path/filepath"

	"highwater/hwm"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/markfiles"
	"highwater/operate"
)

// leave writes the watermarks below a directory, as files of another signer. Every file must be new: the other signer's
// own files may hold higher marks, or marks of unknown keys.
func (a *app) leave(ctx context.Context, cfg *config.Config, admin operate.Admin, format, dir string) error {
	if err := maySignElsewhere(ctx, admin); err != nil {
		return err
	}
	rows, none, err := markRows(ctx, cfg, admin)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		return errors.New("no watermark to export")
	}
	files, err := markfiles.OtherSigners[format](cfg.ChainID, rows)
	if err != nil {
		return err
	}
	if err := markfiles.WriteNew(dir, files); err != nil {
		return err
	}
	for _, f := range files {
		a.Say("wrote %s", filepath.Join(dir, filepath.FromSlash(f.Name)))
	}
	for _, m := range none {
		a.Note("warning: %s has no %s mark here: %s will sign the first request of any level", m.PKH, m.Kind, format)
	}
	a.Note("next: keep highwater stopped, and give the files to %s's user; see docs/migrate.md", format)
	return nil
}

// maySignElsewhere refuses while this instance or its peer may still sign after the export.
func maySignElsewhere(ctx context.Context, admin operate.Admin) error {
	st, err := admin.Status(ctx)
	switch {
	case err != nil:
		return err
	case st.Role.Role == hwm.Active:
		return hints.Add(errors.New("the instance is active: signatures from now on would not be in the files"),
			"stop the baker, run: highwater standby, and export again")
	case !st.Role.Mine && st.Role.Epoch > 0:
		return hints.Add(errors.New("the right to sign is with the peer: the peer has newer marks"),
			"export at the peer, on standby; if the peer is gone for good: highwater takeover, highwater standby, "+
				"and export here")
	}
	return nil
}
