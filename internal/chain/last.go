package chain

import (
	"context"
	"errors"

	"highwater/internal/device"
	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Name is the reader's name as a witness of old marks (signer.Witness).
func (*Reader) Name() string { return "node" }

// LastSigned gives the highest place of each key and kind in the last Window blocks; kinds without a signature in these
// blocks are left out. The marks show whether the state directory is older than the chain. The evidence is good only
// where this instance owns the right to sign: the signatures of the peer are on chain too.
func (r *Reader) LastSigned(ctx context.Context, keys []tezos.PublicKeyHash) ([]device.Mark, error) {
	type of struct {
		pkh  tezos.PublicKeyHash
		kind tezos.Kind
	}
	highest := map[of]device.Mark{}
	err := r.lastBlocks(ctx, keys, func(b Block) {
		for _, s := range b.Ours {
			have, ok := highest[of{s.Key, s.Kind}]
			if !ok || s.Level > have.Level || s.Level == have.Level && s.Round > have.Round {
				highest[of{s.Key, s.Kind}] = device.Mark{PKH: s.Key, Kind: s.Kind, Level: s.Level, Round: s.Round}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	var out []device.Mark
	for _, pkh := range keys {
		for _, kind := range tezos.Kinds {
			if m, ok := highest[of{pkh, kind}]; ok {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// lastBlocks reads the last Window blocks, or as many as the node has.
func (r *Reader) lastBlocks(ctx context.Context, keys []tezos.PublicKeyHash, each func(Block)) error {
	head, err := r.node.Head(ctx)
	if err != nil {
		return err
	}
	read := 0
	for h, err := range r.Back(ctx, head) {
		var b Block
		if err == nil {
			b, err = r.Block(ctx, h, keys)
		}
		if errors.Is(err, node.ErrNotFound) {
			return nil // a node that was started from a snapshot, or a reorganisation
		}
		if err != nil {
			return err
		}
		each(b)
		if read++; read == Window {
			break
		}
	}
	return nil
}
