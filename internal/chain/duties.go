package chain

import (
	"context"
	"slices"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Questions about rights take a node some milliseconds for each level: a node samples all attesters of a level, and
// one baker for each round.
const (
	AttestBatch = 32                   // levels of one question about attestations
	BlocksBatch = node.MaxRightsLevels // levels of one question about blocks
)

// LowRound is the last round whose blocks are asked for. Rights of later rounds are rarely needed.
const LowRound = 1

// AttestRights asks for the duties of keys to attest, as the block at a level knows them (0: the head). Nothing is
// remembered.
func (r *Reader) AttestRights(
	ctx context.Context, at int32, keys []tezos.PublicKeyHash, levels []int32,
) (out []node.AttestationRight, err error) {
	for some := range slices.Chunk(keys, node.MaxRightsKeys) {
		rights, err := r.node.AttestationRights(ctx, node.RightsQuery{ConsensusKeys: some, Levels: levels, Block: at})
		if err != nil {
			return nil, err
		}
		out = append(out, rights...)
	}
	return out, nil
}

// BlockRights asks for the rights of keys to make blocks, up to LowRound, as the block at a level knows them (0: the
// head). Nothing is remembered.
func (r *Reader) BlockRights(
	ctx context.Context, at int32, keys []tezos.PublicKeyHash, levels []int32,
) (out []node.BakingRight, err error) {
	for some := range slices.Chunk(keys, node.MaxRightsKeys) {
		rights, err := r.node.BakingRights(ctx,
			node.RightsQuery{ConsensusKeys: some, Levels: levels, MaxRound: LowRound, Block: at})
		if err != nil {
			return nil, err
		}
		out = append(out, rights...)
	}
	return out, nil
}
