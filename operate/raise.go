package operate

import (
	"context"
	"slices"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Raise merges floors by maximum.
func (l *Local) Raise(ctx context.Context, r RaiseRequest) ([]ChangeRow, error) {
	rows, err := l.floors(r)
	if err != nil {
		return nil, err
	}
	if err = l.checkFar(ctx, r, rows); err != nil {
		return nil, err
	}
	raise := l.Store.Raise
	if r.DryRun {
		raise = l.wouldRaise
	}
	changes, err := raise(rows)
	if err != nil {
		return nil, err
	}
	aliases, want := l.aliases(), map[hwm.Key]hwm.Position{}
	for _, row := range rows {
		want[row.Key] = row.Position
	}
	out := make([]ChangeRow, 0, len(changes))
	for _, c := range changes {
		row := ChangeRow{PKH: c.PKH, Alias: aliases[c.PKH], Kind: c.Kind, After: c.After.Position, Result: "kept"}
		switch {
		case c.Raised:
			row.Result = "raised"
		case c.Before.Position == want[c.Key]:
			row.Why = "the mark is at this place already"
		default:
			row.Why = "the mark is higher, and a mark only rises; to lower a mark: highwater hwm lower, at a stopped instance"
		}
		if c.Before != nil {
			before := c.Before.Position
			row.Before = &before
		}
		out = append(out, row)
	}
	return out, nil
}

// wouldRaise gives the changes of a Raise, and changes nothing.
func (l *Local) wouldRaise(rows []hwm.Row) ([]hwm.Change, error) {
	have := map[hwm.Key]*hwm.Mark{}
	var out []hwm.Change
	for _, r := range rows {
		if _, seen := have[r.Key]; !seen {
			st, err := l.Store.State(r.Key)
			if err != nil {
				return nil, err
			}
			have[r.Key] = st.Mark
		}
		c := hwm.Merge(r.Key, have[r.Key], r.Mark)
		have[r.Key] = &c.After
		out = append(out, c)
	}
	return out, nil
}

func (l *Local) floors(r RaiseRequest) ([]hwm.Row, error) {
	if r.Level < 0 || r.Round != nil && *r.Round < 0 {
		return nil, badRequest("a negative level or round")
	}
	if len(r.Bundles) > len(r.Rows) || slices.ContainsFunc(r.Bundles, func(b BundleHead) bool { return !b.Head.Sound() }) {
		return nil, badRequest("the head of a bundle without rows, or no head at all")
	}
	if len(r.Rows) > 0 {
		rows := make([]hwm.Row, 0, len(r.Rows))
		for n, i := range r.Rows {
			// A row without its key or kind would be written, and never be read again.
			if !slices.Contains(tezos.Kinds, i.Kind) || i.PKH == (tezos.PublicKeyHash{}) || i.Level < 0 || i.Round < 0 {
				return nil, badRequest("row %d wants pkh, kind, level and round, and no negative number", n+1)
			}
			mark := hwm.Mark{Position: hwm.Position{Level: i.Level, Round: i.Round}, At: l.Now(), Source: hwm.SourceImport}
			rows = append(rows, hwm.Row{Key: hwm.Key{Chain: l.Signer.Chain(), PKH: i.PKH, Kind: i.Kind}, Mark: mark})
		}
		return rows, nil
	}
	keys, err := l.Signer.Targets(r.PKHs, r.Kinds)
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, l.Signer.NoKeys("no mark can be raised")
	}
	mark := hwm.Floor(r.Level, l.Now(), hwm.SourceSet)
	if r.Round != nil {
		mark.Round = *r.Round
	}
	rows := make([]hwm.Row, 0, len(keys))
	for _, k := range keys {
		rows = append(rows, hwm.Row{Key: k, Mark: mark})
	}
	return rows, nil
}

// limit is the bound of marks without the operator's word. A head not yet known is asked of the node.
func (l *Local) limit(ctx context.Context) (hwm.Limit, error) {
	if l.Node != nil {
		l.Node.Heads().Find(ctx)
	}
	return l.Signer.LimitOfAll()
}

// checkFar wants the operator's word for a level far above the highest known level of this chain, and for a first mark
// far below the head of the node. With no known level, every level passes.
func (l *Local) checkFar(ctx context.Context, r RaiseRequest, rows []hwm.Row) error {
	if r.Far {
		return nil
	}
	limit, err := l.limit(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		st, err := l.Store.State(row.Key)
		if err != nil {
			return err
		}
		switch {
		case st.Mark == nil && row.Source == hwm.SourceSet:
			err = limit.CheckFirst(row.Key, row.Position)
		case st.Mark == nil || row.Above(*st.Mark): // a mark at or below the present mark changes nothing
			err = limit.Check(row.Key, row.Position)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
