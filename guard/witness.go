package guard

import (
	"context"
	"errors"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/node"
	"highwater/internal/tezos"
	"highwater/signer"
)

// Witness tells what the newest blocks have of our keys, so that a state directory that is older than they are is recognised
// (signer.Consult). It is good evidence only where this instance owns the right to sign: the other one's signatures are there too.
type Witness struct {
	Node  *node.Client
	Chain tezos.ChainID
}

var _ signer.Witness = Witness{}

// Name implements signer.Witness.
func (Witness) Name() string { return "node" }

// LastSigned gives the highest place of each key and kind in the last CatchUp blocks.
func (w Witness) LastSigned(ctx context.Context, keys []tezos.PublicKeyHash) ([]device.Mark, error) {
	highest := map[hwm.Key]hwm.Position{}
	note := func(pkh tezos.PublicKeyHash, kind tezos.Kind, at hwm.Position) {
		key := hwm.Key{Chain: w.Chain, PKH: pkh, Kind: kind}
		if have, ok := highest[key]; !ok || at.Compare(have) > 0 {
			highest[key] = at
		}
	}
	b, err := w.Node.Head(ctx)
	for n := 0; err == nil && n < CatchUp; n++ {
		if err = w.look(ctx, b, note); err == nil {
			b, err = w.Node.Header(ctx, b.Predecessor)
		}
	}
	if err != nil && !errors.Is(err, node.ErrNotFound) { // the first block, or a node that was started from a snapshot
		return nil, err
	}
	var out []device.Mark
	for _, pkh := range keys {
		for _, key := range hwm.KeysOf(w.Chain, pkh) {
			if at, ok := highest[key]; ok {
				out = append(out, device.Mark{PKH: pkh, Kind: key.Kind, Level: at.Level, Round: at.Round})
			}
		}
	}
	return out, nil
}

func (w Witness) look(ctx context.Context, b node.Header, note func(tezos.PublicKeyHash, tezos.Kind, hwm.Position)) error {
	ops, err := w.Node.ConsensusOperations(ctx, b.Hash)
	if err != nil {
		return err
	}
	makers, err := w.Node.Makers(ctx, b.Hash)
	if err != nil {
		return err
	}
	note(makers.Baker.Key, tezos.Block, hwm.Position{Level: b.Level, Round: b.Round})
	for _, op := range ops {
		for _, s := range op.Signers {
			note(s.Key, op.Kind, hwm.Position{Level: op.Level, Round: op.Round})
		}
	}
	return nil
}
