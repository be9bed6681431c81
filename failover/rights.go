package failover

import (
	"context"
	"slices"
	"sync"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Bounds of questions about rights.
const (
	maxAheadRights = 200 // levels; twenty minutes
	lowRound       = 1   // rights of later rounds are rarely needed
)

// rightsCache keeps what a node said of levels: it is fixed before the cycle begins, so each level is asked for once.
type rightsCache struct {
	mu     sync.Mutex // held while the node is asked: two that ask at once ask for the same
	keys   []tezos.PublicKeyHash
	blocks map[int32][]Right
	attest map[int32][]tezos.PublicKeyHash
}

// Rights asks for the levels that were not asked for yet: once a level, when it is polled.
func (o *Octez) Rights(ctx context.Context, keys []tezos.PublicKeyHash, head int32, ahead int) (Rights, error) {
	c := &o.rights
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.keys, keys) {
		c.keys, c.blocks, c.attest = slices.Clone(keys), map[int32][]Right{}, map[int32][]tezos.PublicKeyHash{}
	}
	c.forget(head)
	if len(keys) == 0 {
		return Rights{}, nil
	}
	var missing []int32
	for level := head + 1; level <= head+int32(min(ahead, maxAheadRights)); level++ { //nolint:gosec // bounded
		if _, known := c.blocks[level]; !known {
			missing = append(missing, level)
		}
	}
	if err := o.askBlocks(ctx, missing); err != nil {
		return Rights{}, err
	}
	if err := o.askAttest(ctx, head); err != nil {
		return Rights{}, err
	}
	out := Rights{Attest: c.attest[head]}
	for level := head + 1; level <= head+int32(min(ahead, maxAheadRights)); level++ { //nolint:gosec // bounded
		out.Blocks = append(out.Blocks, c.blocks[level]...)
	}
	return out, nil
}

// forget drops the past. A head may fall back by a few levels.
func (c *rightsCache) forget(head int32) {
	const kept = 16
	for level := range c.blocks {
		if level < head-kept {
			delete(c.blocks, level)
		}
	}
	for level := range c.attest {
		if level < head-kept {
			delete(c.attest, level)
		}
	}
}

// askBlocks fills the cache; it is held.
func (o *Octez) askBlocks(ctx context.Context, levels []int32) error {
	if len(levels) == 0 {
		return nil
	}
	found := map[int32][]Right{}
	for keys := range slices.Chunk(o.rights.keys, node.MaxRightsKeys) {
		rights, err := o.client.BakingRights(ctx, node.RightsQuery{ConsensusKeys: keys, Levels: levels, MaxRound: lowRound})
		if err != nil {
			return err
		}
		for _, r := range rights {
			found[r.Level] = append(found[r.Level], Right{r.Level, r.Round})
		}
	}
	for _, level := range levels {
		o.rights.blocks[level] = found[level]
	}
	return nil
}

func (o *Octez) askAttest(ctx context.Context, level int32) error {
	if _, known := o.rights.attest[level]; known {
		return nil
	}
	rights, err := o.duties(ctx, o.rights.keys, []int32{level})
	if err != nil {
		return err
	}
	found := []tezos.PublicKeyHash{}
	for _, r := range rights {
		found = append(found, r.Key)
	}
	o.rights.attest[level] = found
	return nil
}
