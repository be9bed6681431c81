package chain

import (
	"context"
	"fmt"

	"highwater/internal/checklist"
	"highwater/internal/tezos"
)

// Header tells of the head of a chain. Reader is one.
type Header interface {
	Head(ctx context.Context) (Head, error)
}

// Check asks a node for its head, and wants the node to keep up with the chain.
func Check(ctx context.Context, of Header, want tezos.ChainID) (checklist.Line, Head) {
	const id = checklist.Node
	h, err := of.Head(ctx)
	switch {
	case err != nil:
		return checklist.New(id, checklist.Bad, err.Error(), "see `node` in the configuration, and the node's log"), h
	case h.Chain != want:
		return checklist.New(id, checklist.Bad, fmt.Sprintf("the node follows %s, not %s", h.Chain, want),
			"see `node` in the configuration"), h
	case !h.Synced:
		return checklist.New(id, checklist.Bad, h.Detail, "wait until the node has caught up"), h
	}
	return checklist.New(id, checklist.OK, fmt.Sprintf("in step, at level %d", h.Level), ""), h
}
