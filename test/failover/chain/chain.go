// Package chain is the chain that the octez nodes of both machines show.
package chain

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// Chain is the chain of both machines' octez nodes. The chain advances by itself.
type Chain struct {
	*nodesim.Node
	Interval time.Duration

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each level
	level   int32
	since   time.Time // start of the level
}

// strangers are further bakers of the chain: some blocks are not ours.
const strangers = 8

// New makes a chain with rights for these keys and for strangers.
func New(interval time.Duration, keys []*tezos.PublicKey) *Chain {
	cfg := nodesim.Config{Chain: harness.Chain, Level: harness.StartLevel + 1}
	for _, k := range keys {
		cfg.Bakers = append(cfg.Bakers, node.Signer{Delegate: k.Hash(), Key: k.Hash()})
	}
	for n := range strangers {
		pkh := tezos.PublicKeyHash{Curve: tezos.Ed25519}
		copy(pkh.Hash[:], fmt.Sprintf("a stranger, number %d", n))
		cfg.Bakers = append(cfg.Bakers, node.Signer{Delegate: pkh, Key: pkh})
	}
	return &Chain{
		Node: nodesim.New(cfg), Interval: interval, changed: make(chan struct{}), level: cfg.Level, since: time.Now(),
	}
}

// Run makes a block every interval.
func (c *Chain) Run(ctx context.Context) {
	tick := time.NewTicker(c.Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.step(c.Advance().Level)
		case <-ctx.Done():
			return
		}
	}
}

func (c *Chain) step(level int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.level, c.since = level, time.Now()
	close(c.changed)
	c.changed = make(chan struct{})
}

// Now gives the level of the head, its start, and a channel closed at its end.
func (c *Chain) Now() (level int32, since time.Time, over <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.level, c.since, c.changed
}

// Await waits until the chain is at a level.
func (c *Chain) Await(ctx context.Context, level int32) error {
	for {
		at, _, over := c.Now()
		if at >= level {
			return nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Turn is the key that bakes a level at round 0, by the rule of nodesim; nil: a stranger.
func Turn(keys []*tezos.PublicKey, level int32) *tezos.PublicKey {
	if n := int(level) % (len(keys) + strangers); n < len(keys) {
		return keys[n]
	}
	return nil
}

// Serve answers as an octez node at an address, until ctx ends.
func (c *Chain) Serve(ctx context.Context, l net.Listener) {
	srv := &http.Server{Handler: c.Node, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { c.Cut(); _ = srv.Close() })
	defer stop()
	_ = srv.Serve(l) // Serve ends with ctx
}
