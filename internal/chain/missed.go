package chain

import (
	"context"
	"fmt"
	"slices"

	"highwater/internal/tezos"
)

// Bounds of looking for missed levels.
const (
	maxMissedRange = 200 // levels
	maxMissedPast  = 50  // levels between them and the head
)

// Missed gives the levels from..to at which one of our keys had the right to attest, and did not: the attestations of a level stand in
// the block after it and nowhere else. The head must be past to.
func (r *Reader) Missed(ctx context.Context, keys []tezos.PublicKeyHash, from, to int32) ([]int32, error) {
	if from < 1 || to < from || int64(to)-int64(from) >= maxMissedRange || len(keys) == 0 {
		return nil, fmt.Errorf("missed levels are looked for at 1 to %d levels, of at least one key", maxMissedRange)
	}
	r.past.mu.Lock()
	defer r.past.mu.Unlock()
	r.past.begin(keys)
	b, err := r.client.Head(ctx)
	if err != nil {
		return nil, err
	}
	if b.Level <= to || int64(b.Level)-int64(to) > maxMissedPast {
		return nil, fmt.Errorf("the node's head is at level %d; between 1 and %d levels past %d are wanted", b.Level, maxMissedPast, to)
	}
	head := b.Level
	attested, levels := map[int32][]tezos.PublicKeyHash{}, []int32{}
	for b.Level > from {
		var in signers
		if in, err = r.inside(ctx, b); err != nil {
			return nil, err
		}
		if level := b.Level - 1; level <= to {
			attested[level] = in.attested[level]
			levels = append(levels, level)
		}
		if b, err = r.header(ctx, b.Predecessor); err != nil {
			return nil, err
		}
	}
	duty, err := r.attesters(ctx, keys, head, levels)
	if err != nil {
		return nil, err
	}
	missed := []int32{}
	for _, level := range levels {
		if slices.ContainsFunc(duty[level], func(key tezos.PublicKeyHash) bool { return !slices.Contains(attested[level], key) }) {
			missed = append(missed, level)
		}
	}
	slices.Sort(missed)
	return missed, nil
}
