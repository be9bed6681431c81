package nodesim

import (
	"encoding/binary"
	"slices"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// block is one block, made once.
type block struct {
	header node.Header
	raw    []byte // the header's bytes, signature included; its hash is their BLAKE2b-256
	maker  node.Signer
	ops    []signed
}

// next makes the block of a level on top of parent, at least at the round: the first block that a key signed for the
// level, else a stranger's block. The block takes the operations with a right place in the block.
func (n *Node) next(level, round int32, parent tezos.Hash32) *block {
	b := n.proposed(level, round, parent)
	if b == nil {
		b = n.build(level, round, parent)
	}
	n.pending = slices.DeleteFunc(n.pending, func(s signed) bool {
		// An attestation is for the block before, a preattestation for a round before in the same level; both may come late.
		fits := s.req.Level < level || s.req.Kind == tezos.Preattestation && s.req.Level == level
		if fits {
			b.ops = append(b.ops, s)
		}
		return fits
	})
	return b
}

// proposed is the block of the level that a key signed, or nil. Proposals of past levels are dropped.
func (n *Node) proposed(level, round int32, parent tezos.Hash32) *block {
	n.proposals = slices.DeleteFunc(n.proposals, func(s signed) bool { return s.req.Level < level })
	for i, s := range n.proposals {
		if s.req.Level != level || s.req.Round < round {
			continue
		}
		n.proposals = slices.Delete(n.proposals, i, i+1)
		raw := append(slices.Clone(s.payload[5:]), s.sig.Bytes()...)
		return n.newBlock(raw, s.who, level, s.req.Round, parent)
	}
	return nil
}

// stranger is the baker of all blocks without a baker's signature.
var stranger = func() node.Signer {
	pkh := tezos.PublicKeyHash{Curve: tezos.Ed25519}
	copy(pkh.Hash[:], "a baker from far away")
	return node.Signer{Delegate: pkh, Key: pkh}
}()

// build makes a block of the stranger, with a header in the protocol's layout.
func (n *Node) build(level, round int32, parent tezos.Hash32) *block {
	n.made++
	b := appendInt(nil, level)
	b = append(b, 24) // protocol
	b = append(b, parent[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(n.cfg.Now().Unix())) //nolint:gosec // after 1970
	b = append(b, 4)                                                 // validation passes
	b = append(b, make([]byte, 32)...)                               // operations
	b = appendInt(b, 33)                                             // fitness
	b = append(appendInt(b, 1), 2)
	b = appendInt(appendInt(b, 4), level)
	b = appendInt(b, 0)
	b = appendInt(appendInt(b, 4), -1)
	b = appendInt(appendInt(b, 4), round)
	b = append(b, make([]byte, 32)...)             // context
	b = append(b, make([]byte, 32)...)             // payload hash
	b = appendInt(b, round)                        // payload round
	b = binary.BigEndian.AppendUint64(b, n.made)   // proof of work nonce
	b = append(b, 0, 2)                            // no seed nonce, votes
	b = append(b, slices.Repeat([]byte{1}, 64)...) // signature
	return n.newBlock(b, stranger, level, round, parent)
}

func (n *Node) newBlock(raw []byte, maker node.Signer, level, round int32, parent tezos.Hash32) *block {
	return &block{
		raw: raw, maker: maker,
		header: node.Header{
			Hash: tezos.Digest(raw), Predecessor: parent, Level: level, Round: round,
			Timestamp: n.cfg.Now().UTC().Truncate(time.Second),
		},
	}
}

func appendInt(b []byte, v int32) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(v)) //nolint:gosec // the bits matter
}
