package chain

import (
	"maps"
	"slices"
	"sync"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// keptBlocks bounds the cache: all blocks of one look for missed levels, and some more.
const keptBlocks = maxMissedRange + maxMissedPast + Window

// cache keeps the blocks that were read last, each with the signatures of one set of keys; another set of keys empties
// the cache. A block never changes. The cache is not locked while the node is asked.
type cache struct {
	mu      sync.Mutex
	keys    []tezos.PublicKeyHash
	read    map[tezos.Hash32]Block
	order   []tezos.Hash32         // of read, the oldest first
	settled map[int32]tezos.Hash32 // the blocks of read that are final, by level
}

// begin empties the cache when the keys have changed. The caller holds the lock.
func (c *cache) begin(keys []tezos.PublicKeyHash) {
	if c.read == nil || !slices.Equal(c.keys, keys) {
		c.keys, c.order = slices.Clone(keys), nil
		c.read, c.settled = map[tezos.Hash32]Block{}, map[int32]tezos.Hash32{}
	}
}

func (c *cache) block(keys []tezos.PublicKeyHash, hash tezos.Hash32) (Block, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(keys)
	b, ok := c.read[hash]
	return b, ok
}

func (c *cache) final(keys []tezos.PublicKeyHash, level int32) (Block, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(keys)
	b, ok := c.read[c.settled[level]]
	return b, ok
}

func (c *cache) header(hash tezos.Hash32) (node.Header, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.read[hash]
	return b.Header, ok
}

// keep puts a block into the cache; the oldest one leaves a full cache.
func (c *cache) keep(keys []tezos.PublicKeyHash, b Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begin(keys)
	if _, ok := c.read[b.Hash]; ok {
		return
	}
	c.read[b.Hash] = b
	if c.order = append(c.order, b.Hash); len(c.order) <= keptBlocks {
		return
	}
	gone := c.order[0]
	c.order = slices.Delete(c.order, 0, 1)
	delete(c.read, gone)
	maps.DeleteFunc(c.settled, func(_ int32, hash tezos.Hash32) bool { return hash == gone })
}

// settle notes that a block in the cache is final.
func (c *cache) settle(h node.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.read[h.Hash]; ok {
		c.settled[h.Level] = h.Hash
	}
}
