package failover

import (
	"context"
	"fmt"

	"highwater/internal/chain"
	"highwater/internal/checklist"
	"highwater/internal/tezos"
)

// Chain is the octez node, as far as it is evidence. It may be asked often.
type Chain interface {
	Head(ctx context.Context) (chain.Head, error)
	Silence(ctx context.Context, keys []tezos.PublicKeyHash) (chain.Silence, error)
	// Rights tells what keys have to do at the head and at the levels that follow it, ahead of them.
	Rights(ctx context.Context, keys []tezos.PublicKeyHash, head int32, ahead int) (chain.Rights, error)
}

// CheckNode asks an octez node where the chain is, and whether it keeps up with it.
func CheckNode(ctx context.Context, at Chain, want tezos.ChainID) (checklist.Line, chain.Head) {
	const id = checklist.Node
	h, err := at.Head(ctx)
	switch {
	case err != nil:
		return checklist.New(id, checklist.Bad, err.Error(), "see `node` in the configuration, and the node's log"), h
	case h.Chain != want:
		return checklist.New(id, checklist.Bad, fmt.Sprintf("the node follows %s, not %s", h.Chain, want), "see `node` in the configuration"), h
	case !h.Synced:
		return checklist.New(id, checklist.Bad, h.Detail, "wait until it has caught up"), h
	}
	return checklist.New(id, checklist.OK, fmt.Sprintf("in step, at level %d", h.Level), ""), h
}
