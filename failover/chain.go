package failover

import (
	"context"
	"fmt"
	"time"

	"highwater/internal/tezos"
)

// Head is what the octez node says of its chain.
type Head struct {
	Chain  tezos.ChainID
	Level  int32
	Age    time.Duration // of the head, by this machine's clock
	Synced bool          // it follows the network
	Detail string        // why not, for people
}

// Silence is what the chain shows of our keys.
type Silence struct {
	Head    int32
	LastOwn int32 // the highest level with an operation or a block of ours; -1 when none was seen since Since
	Since   int32 // the oldest level that was looked at
	// Silent counts the newest levels at which a key had rights and nothing of ours was seen. Levels without rights do not count.
	Silent int
}

// Right is the right of one of our keys to make a block.
type Right struct {
	Level int32 `json:"level"`
	Round int32 `json:"round"`
}

// Rights are what our keys have to do soon.
type Rights struct {
	Blocks []Right               // at the levels after the head, of the first rounds
	Attest []tezos.PublicKeyHash // those that have to attest the head
}

// Chain is the octez node, as far as it is evidence. It may be asked often.
type Chain interface {
	Head(ctx context.Context) (Head, error)
	Silence(ctx context.Context, keys []tezos.PublicKeyHash) (Silence, error)
	// Rights tells what keys have to do at the head and at the levels that follow it, ahead of them.
	Rights(ctx context.Context, keys []tezos.PublicKeyHash, head int32, ahead int) (Rights, error)
}

// CheckNode asks an octez node where the chain is, and whether it keeps up with it.
func CheckNode(ctx context.Context, chain Chain, want tezos.ChainID) (Finding, Head) {
	const name = "node"
	h, err := chain.Head(ctx)
	switch {
	case err != nil:
		return Finding{name, Bad, err.Error(), "see `node` in the configuration, and the node's log"}, h
	case h.Chain != want:
		return Finding{name, Bad, fmt.Sprintf("the node follows %s, not %s", h.Chain, want), "see `node` in the configuration"}, h
	case !h.Synced:
		return Finding{name, Bad, h.Detail, "wait until it has caught up"}, h
	}
	return Finding{Name: name, Result: OK, Detail: fmt.Sprintf("in step, at level %d", h.Level)}, h
}
