package operate

import (
	"context"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// SetCeiling sets or lowers the ceilings of keys.
func (l *Local) SetCeiling(ctx context.Context, r CeilingRequest) ([]CeilingRow, error) {
	if r.Level < 0 {
		return nil, badRequest("a ceiling at the negative level %d", r.Level)
	}
	keys, err := l.Signer.Targets(r.PKHs, []tezos.Kind{tezos.Block})
	if err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, l.Signer.NoKeys("no key can get a ceiling")
	}
	limit, err := l.limit(ctx)
	if err != nil {
		return nil, err
	}
	if !r.Far { // a ceiling too high keeps nothing back; a ceiling far below the head ends signing
		if err := limit.CheckFirst(keys[0], hwm.Position{Level: r.Level}); err != nil {
			return nil, err
		}
	}
	aliases := l.aliases()
	out := []CeilingRow{}
	for _, k := range keys {
		key := hwm.CeilingKey{Chain: k.Chain, PKH: k.PKH}
		row := CeilingRow{PKH: k.PKH, Alias: aliases[k.PKH], After: r.Level}
		if c, ok := l.Store.Ceilings()[key]; ok {
			row.Before = &c.Level
		}
		if err := l.Store.SetCeiling(key, hwm.Ceiling{Level: r.Level, At: l.Now(), Source: hwm.SourceSet}); err != nil {
			return out, err
		}
		out = append(out, row)
	}
	return out, nil
}
