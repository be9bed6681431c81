package chain

import (
	"context"
	"iter"
	"slices"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Window is how many of the newest blocks are read one by one, to find the last signature of our keys.
const Window = 16

// Block is a block's header, and the signatures of our keys in the block.
type Block struct {
	node.Header
	Makers node.Makers
	Ours   []Signed // the operations in the order of the block, then the block itself
}

// Signed is a consensus operation in a block, or the block itself, signed by a key of ours, or for a baker of ours.
type Signed struct {
	node.Signer
	Kind  tezos.Kind
	Level int32 // attestations are in a block after their level
	Round int32
	// Operation is the signed operation, without its Signers. Nil for the block itself.
	Operation *node.Operation
}

// Block reads a block, or remembers the block. The error is the node's: node.ErrNotFound after a reorganisation.
func (r *Reader) Block(ctx context.Context, h node.Header, keys []tezos.PublicKeyHash) (Block, error) {
	if b, ok := r.blocks.block(keys, h.Hash); ok {
		return b, nil
	}
	ops, err := r.node.ConsensusOperations(ctx, h.Hash)
	if err != nil {
		return Block{}, err
	}
	makers, err := r.node.Makers(ctx, h.Hash)
	if err != nil {
		return Block{}, err
	}
	b := Block{Header: h, Makers: makers, Ours: ours(h, ops, makers, keys)}
	r.blocks.keep(keys, b)
	return b, nil
}

// ours are the operations and the block, as far as one of the keys signed, or is the baker of the signing key. The
// proposer of a payload signed an earlier block when another baker proposed the payload again; the earlier block is not
// on chain.
func ours(h node.Header, ops []node.Operation, makers node.Makers, keys []tezos.PublicKeyHash) (out []Signed) {
	mine := func(s node.Signer) bool { return slices.Contains(keys, s.Key) || slices.Contains(keys, s.Delegate) }
	for i := range ops {
		for _, s := range ops[i].Signers {
			if mine(s) {
				op := ops[i]
				op.Signers = nil // thousands, in an aggregate
				out = append(out, Signed{Signer: s, Kind: op.Kind, Level: op.Level, Round: op.Round, Operation: &op})
			}
		}
	}
	if mine(makers.Baker) {
		out = append(out, Signed{Signer: makers.Baker, Kind: tezos.Block, Level: h.Level, Round: h.Round})
	}
	return out
}

// last is the highest level in the block with a signature of our keys; -1 for none.
func (b Block) last() int32 {
	highest := int32(-1)
	for _, s := range b.Ours {
		highest = max(highest, s.Level)
	}
	return highest
}

// Attests tells whether the block shows the attestation of a level by a key, or for a baker. A protocol takes the
// attestations of a level into the next block only.
func (b Block) Attests(key tezos.PublicKeyHash, level int32) bool {
	return slices.ContainsFunc(b.Ours, func(s Signed) bool {
		return s.Kind == tezos.Attestation && s.Level == level && (s.Key == key || s.Delegate == key)
	})
}

// has tells whether the block shows a signature of a key, or for a baker, at a level.
func (b Block) has(key tezos.PublicKeyHash, level int32) bool {
	return slices.ContainsFunc(b.Ours,
		func(s Signed) bool { return s.Level == level && (s.Key == key || s.Delegate == key) })
}

// Back walks from a block to its predecessors: the block first, the block of level 1 last. The walk asks the node for a
// header only when the caller wants the next block. An error is the last pair; node.ErrNotFound says that the node has
// no older block.
func (r *Reader) Back(ctx context.Context, from node.Header) iter.Seq2[node.Header, error] {
	return func(yield func(node.Header, error) bool) {
		for h := from; yield(h, nil) && h.Level > 1; {
			before, err := r.header(ctx, h.Predecessor)
			if err != nil {
				yield(node.Header{}, err)
				return
			}
			h = before
		}
	}
}

func (r *Reader) header(ctx context.Context, block tezos.Hash32) (node.Header, error) {
	if h, ok := r.blocks.header(block); ok {
		return h, nil
	}
	return r.node.Header(ctx, block)
}

// Final reads the block at a level so old that no reorganisation reaches the level.
func (r *Reader) Final(ctx context.Context, level int32, keys []tezos.PublicKeyHash) (Block, error) {
	if b, ok := r.blocks.final(keys, level); ok {
		return b, nil
	}
	h, err := r.node.HeaderAt(ctx, level)
	if err != nil {
		return Block{}, err
	}
	b, err := r.Block(ctx, h, keys)
	if err == nil {
		r.blocks.settle(h)
	}
	return b, err
}

// Payload reads the bytes under the baker's signature of a block, and the signature, given the curve of the baker's
// key.
func (r *Reader) Payload(ctx context.Context, h node.Header, curve tezos.Curve) ([]byte, tezos.Signature, error) {
	raw, err := r.node.RawHeader(ctx, h.Hash)
	if err != nil {
		return nil, tezos.Signature{}, err
	}
	return node.BlockPayload(r.chain, curve, raw)
}
