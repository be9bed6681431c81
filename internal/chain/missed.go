package chain

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Bounds of looking for missed levels.
const (
	maxMissedRange = 200 // levels
	maxMissedPast  = 50  // levels between to and the head
)

// Missed gives the levels from..to with a right to attest of our keys and without the attestation, the lowest first.
// The attestations of a level stand in the block after the level: the head must be past to. node.ErrNotFound: the node
// does not have such old blocks.
func (r *Reader) Missed(ctx context.Context, keys []tezos.PublicKeyHash, from, to int32) ([]int32, error) {
	if from < 1 || to < from || int64(to)-int64(from) >= maxMissedRange || len(keys) == 0 {
		return nil, fmt.Errorf("missed levels are looked for at 1 to %d levels, of at least one key", maxMissedRange)
	}
	head, err := r.node.Head(ctx)
	if err != nil {
		return nil, err
	}
	if head.Level <= to || int64(head.Level)-int64(to) > maxMissedPast {
		return nil, fmt.Errorf("the node's head is at level %d, and must be 1 to %d levels past level %d", head.Level,
			maxMissedPast, to)
	}
	blocks, err := r.after(ctx, keys, head, from, to)
	if err != nil {
		return nil, err
	}
	duty, err := r.attesters(ctx, keys, head.Level, slices.Collect(maps.Keys(blocks)))
	if err != nil {
		return nil, err
	}
	missed := []int32{}
	for level, b := range blocks {
		if slices.ContainsFunc(duty[level], func(key tezos.PublicKeyHash) bool { return !b.has(key, level) }) {
			missed = append(missed, level)
		}
	}
	slices.Sort(missed)
	return missed, nil
}

// after reads the blocks that follow the levels from..to, by the level before each block.
func (r *Reader) after(
	ctx context.Context, keys []tezos.PublicKeyHash, head node.Header, from, to int32,
) (map[int32]Block, error) {
	out := map[int32]Block{}
	for h, err := range r.Back(ctx, head) {
		if err != nil {
			return nil, err
		}
		level := h.Level - 1
		if level < from {
			break
		}
		if level > to {
			continue
		}
		if out[level], err = r.Block(ctx, h, keys); err != nil {
			return nil, err
		}
	}
	return out, nil
}
