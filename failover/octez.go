package failover

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Octez is a Chain that asks an octez node.
type Octez struct {
	client *node.Client
	chain  tezos.ChainID
	now    func() time.Time

	mu   sync.Mutex
	seen map[tezos.Hash32]signers // what blocks hold: they do not change
}

// signers are the keys that were seen in a block: in its attestations, which are of the level before it, and as its maker.
type signers struct {
	attested map[int32][]tezos.PublicKeyHash
	makers   []tezos.PublicKeyHash
}

var _ Chain = (*Octez)(nil)

// Bounds of looking back.
const (
	silenceWindow = 16 // blocks
	seenBlocks    = 4 * silenceWindow
	maxHeadAge    = time.Minute // of a head that still counts as the chain's
)

// NewOctez makes a Chain of a client, for one chain.
func NewOctez(client *node.Client, chain tezos.ChainID) *Octez {
	return &Octez{client: client, chain: chain, now: time.Now, seen: map[tezos.Hash32]signers{}}
}

// Head asks where the chain is, and whether the node keeps up with it.
func (o *Octez) Head(ctx context.Context) (Head, error) {
	h, err := o.client.Check(ctx, o.chain, o.now(), maxHeadAge)
	out := Head{Chain: h.Chain, Level: h.Head.Level, Synced: err == nil}
	if err != nil && !errors.Is(err, node.ErrNotSynced) && !errors.Is(err, node.ErrWrongChain) {
		return Head{}, err
	}
	if err != nil {
		out.Detail = err.Error()
	}
	return out, nil
}

// Silence looks at the newest blocks for operations and blocks of our keys, and at which levels they had to attest.
func (o *Octez) Silence(ctx context.Context, keys []tezos.PublicKeyHash) (Silence, error) {
	head, err := o.client.Head(ctx)
	if err != nil {
		return Silence{}, err
	}
	s := Silence{Head: head.Level, LastOwn: -1}
	own, levels := map[int32]bool{}, []int32{}
	for b := head; len(levels) < silenceWindow && b.Level > 1; {
		var in signers
		if in, err = o.block(ctx, b); err != nil {
			return Silence{}, err
		}
		for level, who := range in.attested {
			own[level] = own[level] || ours(who, keys)
		}
		own[b.Level] = own[b.Level] || ours(in.makers, keys)
		levels = append(levels, b.Level-1) // the newest level whose attestations can be on chain
		b, err = o.client.Header(ctx, b.Predecessor)
		if errors.Is(err, node.ErrNotFound) {
			break // the node has nothing older: fewer levels are evidence
		}
		if err != nil {
			return Silence{}, err
		}
	}
	for level, was := range own {
		if was {
			s.LastOwn = max(s.LastOwn, level)
		}
	}
	if len(levels) == 0 {
		return s, nil
	}
	rights, err := o.client.AttestationRights(ctx, node.RightsQuery{ConsensusKeys: keys, Levels: levels})
	if err != nil {
		return Silence{}, err
	}
	for _, level := range levels { // from the newest
		if level <= s.LastOwn {
			break
		}
		if slices.ContainsFunc(rights, func(r node.AttestationRight) bool { return r.Level == level }) {
			s.Silent++
		}
	}
	return s, nil
}

func ours(who, keys []tezos.PublicKeyHash) bool {
	return slices.ContainsFunc(who, func(k tezos.PublicKeyHash) bool { return slices.Contains(keys, k) })
}

// block looks into a block, once.
func (o *Octez) block(ctx context.Context, b node.Header) (signers, error) {
	o.mu.Lock()
	in, ok := o.seen[b.Hash]
	o.mu.Unlock()
	if ok {
		return in, nil
	}
	ops, err := o.client.ConsensusOperations(ctx, b.Hash)
	if err != nil {
		return signers{}, err
	}
	makers, err := o.client.Makers(ctx, b.Hash)
	if err != nil {
		return signers{}, err
	}
	in = signers{attested: map[int32][]tezos.PublicKeyHash{}, makers: []tezos.PublicKeyHash{makers.Baker.Key, makers.Baker.Delegate}}
	for _, op := range ops {
		for _, s := range op.Signers {
			in.attested[op.Level] = append(in.attested[op.Level], s.Key, s.Delegate)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.seen) > seenBlocks {
		clear(o.seen)
	}
	o.seen[b.Hash] = in
	return in, nil
}
