package operate

import (
	"context"

	"highwater/internal/tezos"
	"highwater/signer"
)

// Keys lists the keys.
func (l *Local) Keys(context.Context) ([]KeyRow, error) { return l.keyRows(l.Signer.KeysHealth()), nil }

func (l *Local) keyRows(healths []signer.KeyHealth) []KeyRow {
	rows, infos := []KeyRow{}, map[tezos.PublicKeyHash]signer.KeyInfo{}
	for _, k := range l.Signer.Keys() {
		infos[k.PKH] = k
	}
	for _, h := range healths {
		k, ok := infos[h.PKH]
		if !ok {
			continue // a device offers the key now
		}
		row := KeyRow{
			PKH: k.PKH, Curve: k.PKH.Curve.String(), Alias: k.Alias, Allow: k.Allow, Device: h.Device, Spares: h.Spares,
			Health: string(h.Health), New: h.New, Faults: h.Own(),
			NoSpares: h.NoSpares,
		}
		if k.PublicKey != nil {
			row.PublicKey = k.PublicKey.String()
		}
		if f := h.Unable(); f != nil && f.OfDevice() {
			row.Advice = f.Advice()
		}
		rows = append(rows, row)
	}
	return rows
}

// Prove gives the proof of possession of a tz4 key.
func (l *Local) Prove(ctx context.Context, pkh tezos.PublicKeyHash) (Proof, error) {
	key, err := l.Signer.PublicKey(pkh)
	if err != nil {
		return Proof{}, err
	}
	proof, err := l.Signer.Prove(ctx, pkh)
	if err != nil {
		return Proof{}, err
	}
	return Proof{PKH: pkh, PublicKey: key.String(), Proof: proof}, nil
}
