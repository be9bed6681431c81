package missed

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"highwater/internal/chain"
	"highwater/internal/node"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// readers bounds the questions at once: the node has a baker to serve.
const readers = 2

// Read asks for the rights of the keys at the levels, and for the blocks. progress is told the number of levels read.
func Read(
	ctx context.Context, r *chain.Reader, keys []rights.Key, l node.Levels, progress func(done int32),
) ([]rights.Past, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	batches := (l.Last-l.First)/chain.AttestBatch + 1
	out := make([][]rights.Past, batches)
	next := make(chan int32)
	var mu sync.Mutex
	var done int32
	var all sync.WaitGroup
	for range readers {
		all.Go(func() {
			for i := range next {
				first := l.First + i*chain.AttestBatch
				last := min(first+chain.AttestBatch-1, l.Last)
				past, err := batch(ctx, r, keys, first, last)
				if err != nil {
					stop(fmt.Errorf("levels %d to %d: %w", first, last, err))
					continue
				}
				mu.Lock()
				out[i] = past
				done += last - first + 1
				progress(done)
				mu.Unlock()
			}
		})
	}
	for i := range batches {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	all.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return slices.Concat(out...), nil
}

// batch reads the levels of one question about rights. The rights are asked of the block at the end: the head of a node
// knows the rights of its last cycles only.
func batch(ctx context.Context, r *chain.Reader, keys []rights.Key, first, last int32) (out []rights.Past, err error) {
	levels := make([]int32, 0, last-first+1)
	for level := first; level <= last; level++ {
		levels = append(levels, level)
	}
	due, err := due(ctx, r, keys, levels)
	if err != nil {
		return nil, err
	}
	pkhs := rights.Signers(keys, 0)
	for _, level := range levels {
		past, err := rights.Outcomes(ctx, r, pkhs, level, due[level])
		if err != nil {
			return nil, err
		}
		out = append(out, past...)
	}
	return out, nil
}

// due are the rights of the keys, by level.
func due(ctx context.Context, r *chain.Reader, keys []rights.Key, levels []int32) (map[int32][]rights.Right, error) {
	out := map[int32][]rights.Right{}
	for _, kind := range []tezos.Kind{tezos.Attestation, tezos.Block} {
		found, err := rights.Ask(ctx, r, levels[len(levels)-1], keys, kind, levels)
		if err != nil {
			return nil, err
		}
		for _, right := range found {
			out[right.Level] = append(out[right.Level], right)
		}
	}
	return out, nil
}
