// Package chain reads one chain from one octez node: where the head is, the rights of our keys, and the signatures of
// our keys.
package chain

import (
	"context"
	"errors"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Reader reads one chain from one node. A reader keeps the newest blocks and the rights, so that a second look costs
// the node nothing. A reader is safe for concurrent use.
type Reader struct {
	node  *node.Client
	chain tezos.ChainID
	now   func() time.Time

	blocks cache
	rights rightsCache
}

// maxHeadAge is the age at which a head no longer counts as the chain's.
const maxHeadAge = time.Minute

// New makes a reader of one chain. New asks the node nothing.
func New(client *node.Client, id tezos.ChainID) *Reader {
	return &Reader{node: client, chain: id, now: time.Now}
}

// Head is where the chain is, as the node sees the chain.
type Head struct {
	Chain  tezos.ChainID
	Level  int32
	Age    time.Duration // of the head, by this machine's clock
	Synced bool          // the node follows the network
	Detail string        // why the node is not synced, for people
}

// Head asks the node for its head. A node behind, or on another chain, is no error: Synced is false, and Detail says
// why.
func (r *Reader) Head(ctx context.Context) (Head, error) {
	h, err := r.node.Check(ctx, r.chain, r.now(), maxHeadAge)
	out := Head{Chain: h.Chain, Level: h.Head.Level, Age: h.Age, Synced: err == nil}
	if err != nil && !errors.Is(err, node.ErrNotSynced) && !errors.Is(err, node.ErrWrongChain) {
		return Head{}, err
	}
	if err != nil {
		out.Detail = err.Error()
	}
	return out, nil
}

// Watcher makes a watcher of the chain's head. The caller sets Head, and Down and Idle if needed.
func (r *Reader) Watcher() *node.Watcher { return &node.Watcher{Client: r.node, Chain: r.chain} }
