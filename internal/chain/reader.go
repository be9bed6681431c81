// Package chain reads what an octez node shows of our keys: rights, operations and blocks of theirs, and where the head is.
package chain

import (
	"context"
	"errors"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Reader reads one chain from one octez node.
type Reader struct {
	client *node.Client
	chain  tezos.ChainID
	now    func() time.Time

	past   past
	rights rightsCache
}

// maxHeadAge is that of a head that still counts as the chain's.
const maxHeadAge = time.Minute

// New makes a reader of one chain.
func New(client *node.Client, chain tezos.ChainID) *Reader {
	return &Reader{client: client, chain: chain, now: time.Now}
}

// Head is what the octez node says of its chain.
type Head struct {
	Chain  tezos.ChainID
	Level  int32
	Age    time.Duration // of the head, by this machine's clock
	Synced bool          // it follows the network
	Detail string        // why not, for people
}

// Head asks where the chain is, and whether the node keeps up with it.
func (r *Reader) Head(ctx context.Context) (Head, error) {
	h, err := r.client.Check(ctx, r.chain, r.now(), maxHeadAge)
	out := Head{Chain: h.Chain, Level: h.Head.Level, Age: h.Age, Synced: err == nil}
	if err != nil && !errors.Is(err, node.ErrNotSynced) && !errors.Is(err, node.ErrWrongChain) {
		return Head{}, err
	}
	if err != nil {
		out.Detail = err.Error()
	}
	return out, nil
}
