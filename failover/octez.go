package failover

import (
	"context"
	"errors"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Octez is a Chain that asks an octez node.
type Octez struct {
	client *node.Client
	chain  tezos.ChainID
	now    func() time.Time

	past   past
	rights rightsCache
}

var _ Chain = (*Octez)(nil)

// maxHeadAge is that of a head that still counts as the chain's.
const maxHeadAge = time.Minute

// NewOctez makes a Chain of a client, for one chain.
func NewOctez(client *node.Client, chain tezos.ChainID) *Octez {
	return &Octez{client: client, chain: chain, now: time.Now}
}

// Head asks where the chain is, and whether the node keeps up with it.
func (o *Octez) Head(ctx context.Context) (Head, error) {
	h, err := o.client.Check(ctx, o.chain, o.now(), maxHeadAge)
	out := Head{Chain: h.Chain, Level: h.Head.Level, Age: h.Age, Synced: err == nil}
	if err != nil && !errors.Is(err, node.ErrNotSynced) && !errors.Is(err, node.ErrWrongChain) {
		return Head{}, err
	}
	if err != nil {
		out.Detail = err.Error()
	}
	return out, nil
}
