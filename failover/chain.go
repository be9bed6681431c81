package failover

import (
	"context"

	"highwater/internal/tezos"
)

// Head is what the octez node says of its chain.
type Head struct {
	Chain  tezos.ChainID
	Level  int32
	Synced bool   // it follows the network
	Detail string // why not, for people
}

// Silence is what the chain shows of our keys.
type Silence struct {
	Head    int32
	LastOwn int32 // the highest level with an operation or a block of ours; -1 when none was seen in the window
	// Silent counts the newest levels at which a key had rights and nothing of ours was seen. Levels without rights do not count.
	Silent int
}

// Chain is the octez node, as far as it is evidence. It may be asked often.
type Chain interface {
	Head(ctx context.Context) (Head, error)
	Silence(ctx context.Context, keys []tezos.PublicKeyHash) (Silence, error)
}
