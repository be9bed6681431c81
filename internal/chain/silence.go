package chain

import (
	"context"
	"errors"
	"slices"
	"sync"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Bounds of looking back. The newest blocks are looked at one by one: whatever our keys did stands there. Further back only the blocks
// are that can hold what our keys had to do, so that keys with rare rights can be judged without asking for hundreds of blocks.
const (
	silenceWindow = 16  // blocks
	silenceBack   = 240 // levels; twenty-four minutes
	silenceBlocks = 32  // blocks further back than the window, for one answer
	seenBlocks    = 4 * silenceWindow
)

// MaxSilence is how many silent levels can be seen.
const MaxSilence = silenceWindow + silenceBlocks

// Silence is what the chain shows of our keys.
type Silence struct {
	Head    int32
	LastOwn int32 // the highest level with an operation or a block of ours; -1 when none was seen since Since
	Since   int32 // the oldest level that was looked at
	// Silent counts the newest levels at which a key had rights and nothing of ours was seen. Levels without rights do not count.
	Silent int
}

// past keeps what blocks hold, which does not change: a second look costs the node one question. Whose duty a level was is in rightsCache.
type past struct {
	mu   sync.Mutex // held while the node is asked
	keys []tezos.PublicKeyHash
	seen map[tezos.Hash32]signers
	deep map[int32]signers // by level, of blocks so old that they are final
}

// signers are the keys that were seen in a block: in its attestations, which are of the level before it, and as its maker.
type signers struct {
	header   node.Header
	attested map[int32][]tezos.PublicKeyHash
	makers   []tezos.PublicKeyHash
}

// own tells the highest level at which the block shows one of the keys; -1 for none.
func (s signers) own(keys []tezos.PublicKeyHash) int32 {
	highest := int32(-1)
	for level, who := range s.attested {
		if ours(who, keys) {
			highest = max(highest, level)
		}
	}
	if ours(s.makers, keys) {
		highest = max(highest, s.header.Level)
	}
	return highest
}

func ours(who, keys []tezos.PublicKeyHash) bool {
	return slices.ContainsFunc(who, func(k tezos.PublicKeyHash) bool { return slices.Contains(keys, k) })
}

// Silence looks for operations and blocks of our keys, and counts the levels since at which they had to attest. It looks no further back
// than it must for the last operation of ours, nor than its bounds.
func (r *Reader) Silence(ctx context.Context, keys []tezos.PublicKeyHash) (Silence, error) {
	p := &r.past
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begin(keys)
	head, err := r.client.Head(ctx)
	if err != nil {
		return Silence{}, err
	}
	s := Silence{Head: head.Level, LastOwn: -1, Since: head.Level}
	levels, err := r.recent(ctx, head, &s)
	if err != nil {
		return Silence{}, err
	}
	if len(levels) == 0 || len(keys) == 0 {
		return s, nil
	}
	s.Since = levels[len(levels)-1]
	duty, err := r.attesters(ctx, keys, head.Level, levels)
	if err != nil {
		return Silence{}, err
	}
	for _, level := range levels {
		if len(duty[level]) > 0 && level > s.LastOwn {
			s.Silent++
		}
	}
	if s.LastOwn >= 0 || len(levels) < silenceWindow {
		return s, nil
	}
	return r.furtherBack(ctx, s)
}

// recent looks into the newest blocks, and gives the levels whose attestations can be in them, from the newest.
func (r *Reader) recent(ctx context.Context, b node.Header, s *Silence) (levels []int32, err error) {
	for b.Level > 1 {
		in, err := r.block(ctx, b)
		if err != nil {
			return nil, err
		}
		s.LastOwn = max(s.LastOwn, in.own(r.past.keys))
		if levels = append(levels, b.Level-1); len(levels) == silenceWindow {
			break
		}
		b, err = r.header(ctx, b.Predecessor)
		if errors.Is(err, node.ErrNotFound) {
			break // the node has nothing older: fewer levels are evidence
		}
		if err != nil {
			return nil, err
		}
	}
	return levels, nil
}

// furtherBack looks at the levels at which a key of ours had to attest, until it was seen to.
func (r *Reader) furtherBack(ctx context.Context, s Silence) (Silence, error) {
	var levels []int32
	for level := s.Since - 1; level > 0 && level >= s.Head-silenceBack; level-- {
		levels = append(levels, level)
	}
	duty, err := r.attesters(ctx, r.past.keys, s.Head, levels)
	if err != nil {
		return Silence{}, err
	}
	for looked := 0; len(levels) > 0 && looked < silenceBlocks; levels = levels[1:] {
		level := levels[0]
		if len(duty[level]) == 0 {
			s.Since = level
			continue
		}
		looked++
		in, err := r.deep(ctx, level+1)
		if errors.Is(err, node.ErrNotFound) {
			return s, nil // as above
		}
		if err != nil {
			return Silence{}, err
		}
		s.Since = level
		if s.LastOwn = in.own(r.past.keys); s.LastOwn >= 0 {
			return s, nil
		}
		s.Silent++
	}
	return s, nil
}

// begin keeps the memory small, and looks for these keys in it.
func (p *past) begin(keys []tezos.PublicKeyHash) {
	if p.seen == nil || len(p.seen) > seenBlocks {
		p.seen = map[tezos.Hash32]signers{}
	}
	if len(p.deep) > 4*silenceBlocks {
		p.deep = nil
	}
	if p.deep == nil {
		p.deep = map[int32]signers{}
	}
	p.keys = slices.Clone(keys)
}

// deep looks into a block that no reorganisation reaches any more.
func (r *Reader) deep(ctx context.Context, level int32) (signers, error) {
	if in, ok := r.past.deep[level]; ok {
		return in, nil
	}
	b, err := r.client.HeaderAt(ctx, level)
	if err != nil {
		return signers{}, err
	}
	in, err := r.inside(ctx, b)
	if err == nil {
		r.past.deep[level] = in
	}
	return in, err
}

// header asks for the header of a block that was not looked into yet.
func (r *Reader) header(ctx context.Context, block tezos.Hash32) (node.Header, error) {
	if in, ok := r.past.seen[block]; ok {
		return in.header, nil
	}
	return r.client.Header(ctx, block)
}

// block looks into a block, once.
func (r *Reader) block(ctx context.Context, b node.Header) (signers, error) {
	if in, ok := r.past.seen[b.Hash]; ok {
		return in, nil
	}
	in, err := r.inside(ctx, b)
	if err == nil {
		r.past.seen[b.Hash] = in
	}
	return in, err
}

func (r *Reader) inside(ctx context.Context, b node.Header) (signers, error) {
	ops, err := r.client.ConsensusOperations(ctx, b.Hash)
	if err != nil {
		return signers{}, err
	}
	makers, err := r.client.Makers(ctx, b.Hash)
	if err != nil {
		return signers{}, err
	}
	in := signers{header: b, attested: map[int32][]tezos.PublicKeyHash{}, makers: []tezos.PublicKeyHash{makers.Baker.Key, makers.Baker.Delegate}}
	for _, op := range ops {
		for _, s := range op.Signers {
			in.attested[op.Level] = append(in.attested[op.Level], s.Key, s.Delegate)
		}
	}
	return in, nil
}
