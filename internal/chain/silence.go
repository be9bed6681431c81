package chain

import (
	"context"
	"errors"

	"highwater/internal/node"
	"highwater/internal/tezos"
)

// Bounds of looking for silence. The last Window blocks are read one by one, and show all signatures of our keys.
// Further back, Silence reads only the blocks after levels with rights of ours, so that keys with rare rights cost a
// few questions and not hundreds.
const (
	silenceBack   = 240 // levels; twenty-four minutes
	silenceBlocks = 32  // blocks further back than Window, for one answer
)

// MaxSilence is the most silent levels that one answer can count.
const MaxSilence = Window + silenceBlocks

// Silence tells since which level the chain shows no signature of our keys.
type Silence struct {
	Head    int32
	LastOwn int32 // the highest level with an operation or a block of ours; -1 when Since and later levels show none
	Since   int32 // the oldest level of the look
	// Silent counts the newest levels at which a key had rights and the chain shows nothing of ours. Levels without
	// rights do not count.
	Silent int
}

// Silence looks for the last operation or block of our keys, and counts the later levels at which our keys had to
// attest. The look ends at the last operation, or at the bounds above.
func (r *Reader) Silence(ctx context.Context, keys []tezos.PublicKeyHash) (Silence, error) {
	head, err := r.node.Head(ctx)
	if err != nil {
		return Silence{}, err
	}
	s := Silence{Head: head.Level, LastOwn: -1, Since: head.Level}
	levels, err := r.recent(ctx, keys, head, &s)
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
	if s.LastOwn >= 0 || len(levels) < Window {
		return s, nil
	}
	return r.furtherBack(ctx, keys, s)
}

// recent reads the last Window blocks, and gives the levels attested in these blocks, the newest first.
func (r *Reader) recent(
	ctx context.Context, keys []tezos.PublicKeyHash, head node.Header, s *Silence,
) ([]int32, error) {
	var levels []int32
	for h, err := range r.Back(ctx, head) {
		if errors.Is(err, node.ErrNotFound) || err == nil && h.Level <= 1 {
			break // the chain is young, or the node was started from a snapshot: fewer levels are evidence
		}
		if err != nil {
			return nil, err
		}
		b, err := r.Block(ctx, h, keys)
		if err != nil {
			return nil, err
		}
		s.LastOwn = max(s.LastOwn, b.last())
		if levels = append(levels, h.Level-1); len(levels) == Window {
			break
		}
	}
	return levels, nil
}

// furtherBack reads the blocks after the levels at which a key of ours had to attest, until a block shows one of our
// keys.
func (r *Reader) furtherBack(ctx context.Context, keys []tezos.PublicKeyHash, s Silence) (Silence, error) {
	var levels []int32
	for level := s.Since - 1; level > 0 && level >= s.Head-silenceBack; level-- {
		levels = append(levels, level)
	}
	duty, err := r.attesters(ctx, keys, s.Head, levels)
	if err != nil {
		return Silence{}, err
	}
	for read := 0; len(levels) > 0 && read < silenceBlocks; levels = levels[1:] {
		level := levels[0]
		if len(duty[level]) == 0 {
			s.Since = level
			continue
		}
		read++
		b, err := r.Final(ctx, level+1, keys)
		if errors.Is(err, node.ErrNotFound) {
			return s, nil // fewer levels are evidence, as in recent
		}
		if err != nil {
			return Silence{}, err
		}
		s.Since = level
		if s.LastOwn = b.last(); s.LastOwn >= 0 {
			return s, nil
		}
		s.Silent++
	}
	return s, nil
}
