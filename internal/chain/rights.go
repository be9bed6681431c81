package chain

import (
	"context"
	"maps"
	"slices"
	"sync"

	"highwater/internal/tezos"
)

// Bounds of questions about rights.
const (
	MaxAhead   = 200                                     // levels; twenty minutes
	keptRights = maxMissedRange + maxMissedPast + Window // the answers for so many levels behind the head are kept
)

// Right is the right of one of our keys to make a block.
type Right struct {
	Level int32 `json:"level"`
	Round int32 `json:"round"`
}

// Rights are the duties of our keys at the head and soon after.
type Rights struct {
	Blocks []Right               // at the levels after the head, of the first rounds
	Attest []tezos.PublicKeyHash // the keys that have to attest the head
}

// rightsCache keeps the rights of each level. Rights are fixed before their cycle begins, so the node is asked once for
// each level.
type rightsCache struct {
	mu     sync.Mutex // held while the node is asked: two callers at once want the same levels
	keys   []tezos.PublicKeyHash
	blocks map[int32][]Right
	attest map[int32][]tezos.PublicKeyHash
}

// Rights gives the duties of the keys at the head, and at the next ahead levels, at most MaxAhead. The node is asked
// only for new levels.
func (r *Reader) Rights(ctx context.Context, keys []tezos.PublicKeyHash, head int32, ahead int) (Rights, error) {
	c := &r.rights
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(keys, head)
	if len(keys) == 0 {
		return Rights{}, nil
	}
	var levels []int32
	for level := head + 1; level <= head+int32(min(ahead, MaxAhead)); level++ { //nolint:gosec // bounded
		levels = append(levels, level)
	}
	if err := r.askBlocks(ctx, unknown(c.blocks, levels)); err != nil {
		return Rights{}, err
	}
	if err := r.askAttest(ctx, unknown(c.attest, []int32{head})); err != nil {
		return Rights{}, err
	}
	out := Rights{Attest: c.attest[head]}
	for _, level := range levels {
		out.Blocks = append(out.Blocks, c.blocks[level]...)
	}
	return out, nil
}

// attesters are the keys with the duty to attest, by level. No level is further back from the head than keptRights.
func (r *Reader) attesters(
	ctx context.Context, keys []tezos.PublicKeyHash, head int32, levels []int32,
) (map[int32][]tezos.PublicKeyHash, error) {
	c := &r.rights
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(keys, head)
	if err := r.askAttest(ctx, unknown(c.attest, levels)); err != nil {
		return nil, err
	}
	return maps.Clone(c.attest), nil
}

// begin forgets the rights of other keys, and of old levels. A head may fall back by a few levels.
func (c *rightsCache) begin(keys []tezos.PublicKeyHash, head int32) {
	if c.blocks == nil || !slices.Equal(c.keys, keys) {
		c.keys, c.blocks, c.attest = slices.Clone(keys), map[int32][]Right{}, map[int32][]tezos.PublicKeyHash{}
	}
	maps.DeleteFunc(c.blocks, func(level int32, _ []Right) bool { return level < head-keptRights })
	maps.DeleteFunc(c.attest, func(level int32, _ []tezos.PublicKeyHash) bool { return level < head-keptRights })
}

// unknown are the levels without rights in the cache.
func unknown[T any](known map[int32]T, levels []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(levels), func(level int32) bool { _, have := known[level]; return have })
}

// askBlocks puts baking rights into the cache. The caller holds the lock of the cache.
func (r *Reader) askBlocks(ctx context.Context, levels []int32) error {
	if len(levels) == 0 {
		return nil
	}
	found := map[int32][]Right{}
	rights, err := r.BlockRights(ctx, 0, r.rights.keys, levels)
	if err != nil {
		return err
	}
	for _, right := range rights {
		found[right.Level] = append(found[right.Level], Right{right.Level, right.Round})
	}
	for _, level := range levels {
		r.rights.blocks[level] = found[level]
	}
	return nil
}

// askAttest puts attestation rights into the cache. The caller holds the lock of the cache.
func (r *Reader) askAttest(ctx context.Context, levels []int32) error {
	if len(levels) == 0 {
		return nil
	}
	found := map[int32][]tezos.PublicKeyHash{}
	rights, err := r.AttestRights(ctx, 0, r.rights.keys, levels)
	if err != nil {
		return err
	}
	for _, right := range rights {
		found[right.Level] = append(found[right.Level], right.Key)
	}
	for _, level := range levels {
		r.rights.attest[level] = found[level]
	}
	return nil
}
