// Package nodesim is an emulated octez node. Its chain advances by itself or by hand, and the node answers the requests
// of package node over HTTP, in octez's shape. Note takes signatures as a network would: operations go into the next
// block, and a signed block becomes the next block. Nothing is verified: the signatures of a twin, second signatures
// for a place and late signatures get on chain as they come, for a test to see them on chain.
//
// The node can reorganise the chain, stand still, fall behind, cut streams, be slow, be gone, and follow a foreign
// chain.
package nodesim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Config is how a node starts.
type Config struct {
	Chain    tezos.ChainID
	Level    int32         // of the first head; 1000 when zero
	Interval time.Duration // between blocks, for Run; zero: only by hand
	// Bakers have rights: to bake in turn, round after round, and to attest every level.
	Bakers []node.Signer
	// HasRights narrows the duty to attest; nil: every baker, every level.
	HasRights func(level int32, s node.Signer) bool
	// Separate keeps tz4 operations out of aggregates.
	Separate bool
	// Powers writes consensus power as Ushuaia does, as an object; Seoul has a number.
	Powers bool
	Now    func() time.Time // may be nil
}

// Node is the emulated node: an http.Handler, safe for concurrent use.
type Node struct {
	cfg  Config
	name map[tezos.PublicKeyHash]tezos.PublicKeyHash // delegate of a key

	served atomic.Int64

	mu        sync.Mutex
	chain     []*block // from the first to the head
	known     map[tezos.Hash32]*block
	pending   []signed // operations not yet in a block
	proposals []signed // signed blocks of levels to come
	made      uint64   // blocks ever made: a number in each block makes all blocks different
	faults    Faults
	changed   chan struct{} // closed and replaced at each new head
	cut       chan struct{} // closed and replaced to end all streams
}

// Faults are the faults of the node. The zero value is a good node.
type Faults struct {
	Stuck    bool          // no block comes by itself
	State    string        // unsynced or stuck, as in is_bootstrapped; empty: synced
	Starting bool          // not bootstrapped yet
	Delay    time.Duration // before each answer
	Down     bool          // connections are dropped
	Chain    tezos.ChainID // another chain, when not zero

	NoRights bool  // the questions about rights are refused, as by a strict access list
	Oldest   int32 // older blocks are not known any more, as of a rolling node

	NextProtocol string // of the block after the head, when not empty
	KindSuffix   string // behind the name of each kind of operation, as a new protocol may write the kinds
}

// signed is a payload with the signature of a key.
type signed struct {
	who     node.Signer
	payload []byte
	sig     tezos.Signature
	req     tezos.Request
}

// historyKept bounds the blocks that the node still knows.
const historyKept = 4096

// New makes a node with one block.
func New(cfg Config) *Node {
	if cfg.Level == 0 {
		cfg.Level = 1000
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	n := &Node{
		cfg: cfg, name: map[tezos.PublicKeyHash]tezos.PublicKeyHash{}, known: map[tezos.Hash32]*block{},
		changed: make(chan struct{}), cut: make(chan struct{}),
	}
	for _, b := range cfg.Bakers {
		n.name[b.Key] = b.Delegate
	}
	n.add(n.build(cfg.Level, 0, tezos.Hash32{}))
	return n
}

// Run makes a block every interval until ctx ends.
func (n *Node) Run(ctx context.Context) {
	if n.cfg.Interval <= 0 {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(n.cfg.Interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if !n.Faults().Stuck {
				n.Advance()
			}
		case <-ctx.Done():
			return
		}
	}
}

// Note takes a payload and its signature as they left the signer: an operation for the next blocks, or the next block
// of its level. The error tells of bytes that are no consensus payload.
func (n *Node) Note(pkh tezos.PublicKeyHash, payload []byte, sig tezos.Signature) error {
	req, err := tezos.Decode(pkh.Curve, payload)
	if err != nil {
		return fmt.Errorf("no consensus payload: %w", err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delegate, ok := n.name[pkh]
	if !ok {
		delegate = pkh
	}
	s := signed{node.Signer{Delegate: delegate, Key: pkh}, slices.Clone(payload), sig, req}
	if req.Kind == tezos.Block {
		n.proposals = append(n.proposals, s)
	} else {
		n.pending = append(n.pending, s)
	}
	return nil
}

// Advance makes the next block and gives its header.
func (n *Node) Advance() node.Header {
	n.mu.Lock()
	defer n.mu.Unlock()
	head := n.head()
	b := n.next(head.header.Level+1, 0, head.header.Hash)
	n.add(b)
	return b.header
}

// Reorganise puts a branch of the same length in the place of the last depth blocks: new blocks of a higher round, by
// foreign bakers. With again the operations of the dropped blocks get into the new blocks; else the operations are
// lost.
func (n *Node) Reorganise(depth int, again bool) node.Header {
	n.mu.Lock()
	defer n.mu.Unlock()
	depth = min(depth, len(n.chain)-1)
	keep := len(n.chain) - depth
	old := n.chain[keep:]
	n.chain = n.chain[:keep:keep]
	for _, b := range old {
		if again {
			n.pending = append(n.pending, b.ops...)
		}
	}
	for _, b := range old {
		parent := n.head().header
		made := n.next(parent.Level+1, b.header.Round+1, parent.Hash)
		n.append(made)
	}
	n.announce()
	return n.head().header
}

// Head is the header of the head.
func (n *Node) Head() node.Header {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.head().header
}

// Served is the number of requests until now.
func (n *Node) Served() int64 { return n.served.Load() }

// Faults are the present faults.
func (n *Node) Faults() Faults {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.faults
}

// SetFaults changes the faults. A node going down loses its streams.
func (n *Node) SetFaults(f Faults) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.faults = f
	if f.Down || f.Chain != (tezos.ChainID{}) {
		n.cutLocked()
	}
}

// Cut ends all streams, in the middle of a line.
func (n *Node) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutLocked()
}

func (n *Node) cutLocked() {
	close(n.cut)
	n.cut = make(chan struct{})
}

func (n *Node) head() *block { return n.chain[len(n.chain)-1] }

func (n *Node) add(b *block) {
	n.append(b)
	n.announce()
}

func (n *Node) append(b *block) {
	n.chain = append(n.chain, b)
	n.known[b.header.Hash] = b
	if len(n.chain) > historyKept {
		delete(n.known, n.chain[0].header.Hash)
		n.chain = slices.Delete(n.chain, 0, 1)
	}
}

func (n *Node) announce() {
	close(n.changed)
	n.changed = make(chan struct{})
}
