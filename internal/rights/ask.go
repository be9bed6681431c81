package rights

import (
	"context"

	"highwater/internal/chain"
	"highwater/internal/tezos"
)

// Ask asks for the rights of one kind, Block or Attestation, at some levels, as the block at a level knows them (0: the
// head). Only keys that sign the kind are asked for; a Right has no time.
func Ask(
	ctx context.Context, r *chain.Reader, at int32, keys []Key, kind tezos.Kind, levels []int32,
) ([]Right, error) {
	pkhs, out := Signers(keys, kind), []Right{}
	if kind == tezos.Block {
		blocks, err := r.BlockRights(ctx, at, pkhs, levels)
		for _, b := range blocks {
			out = append(out, Right{PKH: b.Key, Kind: kind, Level: b.Level, Round: b.Round})
		}
		return out, err
	}
	attest, err := r.AttestRights(ctx, at, pkhs, levels)
	for _, a := range attest {
		out = append(out, Right{PKH: a.Key, Kind: kind, Level: a.Level})
	}
	return out, err
}

// Signers are the keys that sign a kind here; of kind 0: all keys.
func Signers(keys []Key, kind tezos.Kind) (out []tezos.PublicKeyHash) {
	for _, k := range keys {
		if kind == 0 || k.signs(kind) {
			out = append(out, k.PKH)
		}
	}
	return out
}
