package operate

import (
	"context"

	"highwater/hwm"
)

// Marks lists the marks, with a row without a level for each missing mark of a known key.
func (l *Local) Marks(context.Context) ([]MarkRow, error) {
	rows, err := l.Store.Rows()
	if err != nil {
		return nil, err
	}
	missing, err := l.Signer.MissingMarks()
	if err != nil {
		return nil, err
	}
	aliases, ceilings, horizons := l.aliases(), l.Store.Ceilings(), l.Store.Horizons()
	out := make([]MarkRow, 0, len(rows)+len(missing))
	absent := make(map[hwm.Key]bool, len(missing))
	for _, key := range missing {
		absent[key] = true
		rows = append(rows, hwm.Row{Key: key, Mark: hwm.Mark{}})
	}
	hwm.SortRows(rows)
	for _, r := range rows {
		row := MarkRow{Chain: r.Chain, PKH: r.PKH, Alias: aliases[r.PKH], Kind: r.Kind}
		if !absent[r.Key] {
			level, round, at := r.Level, r.Round, r.At
			row.Level, row.Round, row.UpdatedAt, row.Source = &level, &round, &at, r.Source.String()
			row.Signed = !r.Signature.IsZero()
		}
		if c, ok := ceilings[hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH}]; ok {
			row.Ceiling = &c.Level
		}
		if h, ok := horizons[hwm.CeilingKey{Chain: r.Chain, PKH: r.PKH}]; ok {
			row.Horizon = &h
		}
		out = append(out, row)
	}
	return out, nil
}
