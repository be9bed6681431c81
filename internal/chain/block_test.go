package chain

import (
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
)

func (r *rig) note(key int, step baker.Step) {
	r.t.Helper()
	step.Chain = ghost
	payload := step.Payload(r.signs[key].Curve())
	require.NoError(r.t, r.sim.Note(r.keys[key], payload, r.signs[key].Sign(payload)))
}

// TestABlockShowsWhatOurKeysSigned: operations first, then the block; a baker counts whose consensus key is not ours.
func TestABlockShowsWhatOurKeysSigned(t *testing.T) {
	mine, theirs := node.Signer{}, node.Signer{}
	r := newRig(t, always)
	mine.Delegate, mine.Key = newKey(t, tezos.P256, 3).PublicKey().Hash(), r.keys[0]
	theirs.Delegate, theirs.Key = r.keys[1], newKey(t, tezos.P256, 4).PublicKey().Hash()
	stranger := node.Signer{Delegate: mine.Delegate, Key: theirs.Key}
	h := node.Header{Level: 7, Round: 2}
	ops := []node.Operation{
		{Kind: tezos.Attestation, Level: 6, Round: 1, Aggregate: true, Signers: []node.Signer{stranger, mine, theirs}},
		{Kind: tezos.Preattestation, Level: 7, Signers: []node.Signer{stranger}},
	}
	got := ours(h, ops, node.Makers{Baker: mine, Proposer: theirs}, r.keys)
	require.Len(t, got, 3, "the proposer's own block is not this one")
	require.Equal(t, []node.Signer{mine, theirs, mine}, []node.Signer{got[0].Signer, got[1].Signer, got[2].Signer})
	require.Equal(t, Signed{Signer: mine, Kind: tezos.Block, Level: 7, Round: 2}, got[2])
	require.Equal(t, []any{tezos.Attestation, int32(6), int32(1), true},
		[]any{got[0].Kind, got[0].Level, got[0].Round, got[0].Operation.Aggregate})
	require.Empty(t, got[0].Operation.Signers)
	require.Len(t, ops[0].Signers, 3, "the answer itself is left as it was")

	b := Block{Header: h, Ours: got[:2]}
	require.Equal(t, int32(6), b.last())
	require.Equal(t, int32(-1), Block{Header: h}.last())
	require.True(t, b.has(r.keys[1], 6))
	require.False(t, b.has(r.keys[1], 7))
	require.False(t, b.has(theirs.Delegate, 5))
}

// TestLastSigned gives the highest place of each key and kind, and nothing older than the newest blocks.
func TestLastSigned(t *testing.T) {
	r := newRig(t, always)
	r.note(1, baker.Step{Kind: tezos.Preattestation, Level: start + 1})
	r.sim.Advance()
	for range Window {
		r.sim.Advance()
	}
	head := r.sim.Head().Level
	for _, level := range []int32{head, head + 1} {
		r.note(0, baker.Step{Kind: tezos.Attestation, Level: level, Round: head + 1 - level})
		r.note(1, baker.Step{Kind: tezos.Block, Level: level + 1, Round: 3})
		r.sim.Advance()
	}
	got, err := r.reader.LastSigned(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, []device.Mark{
		{PKH: r.keys[0], Kind: tezos.Attestation, Level: head + 1},
		{PKH: r.keys[1], Kind: tezos.Block, Level: head + 2, Round: 3},
	}, got)
	r.sim.SetFaults(nodesim.Faults{Down: true})
	_, err = r.reader.LastSigned(t.Context(), r.keys)
	require.ErrorIs(t, err, node.ErrUnreachable)
}

// TestBlocksAreReadOnce: whoever reads a block serves every other look; other keys read anew.
func TestBlocksAreReadOnce(t *testing.T) {
	r := newRig(t, always)
	for range 2 * Window {
		r.attest()
	}
	_, err := r.reader.LastSigned(t.Context(), r.keys)
	require.NoError(t, err)
	head := r.sim.Head().Level
	before := r.sim.Served()
	_, err = r.reader.Silence(t.Context(), r.keys)
	require.NoError(t, err)
	require.Equal(t, before+2, r.sim.Served(), "the head, and the rights")
	_, err = r.reader.Missed(t.Context(), r.keys, head-Window, head-1)
	require.NoError(t, err)
	require.LessOrEqual(t, r.sim.Served(), before+2+3, "the head, the end of the walk, and the rights")
	before = r.sim.Served()
	one, err := r.reader.LastSigned(t.Context(), r.keys[:1])
	require.NoError(t, err)
	require.Len(t, one, 1)
	require.Greater(t, r.sim.Served(), before+2*Window)
}

// TestTheCacheIsBounded: the oldest blocks leave it, also as final ones.
func TestTheCacheIsBounded(t *testing.T) {
	var c cache
	keys := []tezos.PublicKeyHash{{Curve: tezos.P256}}
	at := func(level int32) Block {
		return Block{Header: node.Header{Hash: tezos.Hash32{byte(level), byte(level >> 8)}, Level: level}}
	}
	for level := int32(1); level <= 2*keptBlocks; level++ {
		c.keep(keys, at(level))
		c.keep(keys, at(level))
		c.settle(at(level).Header)
	}
	require.Len(t, c.read, keptBlocks)
	require.Len(t, c.order, keptBlocks)
	require.Len(t, c.settled, keptBlocks)
	_, ok := c.final(keys, keptBlocks)
	require.False(t, ok)
	b, ok := c.final(keys, keptBlocks+1)
	require.True(t, ok)
	require.Equal(t, at(keptBlocks+1), b)
	_, ok = c.block(nil, b.Hash)
	require.False(t, ok, "other keys")
	require.Empty(t, c.read)
	c.settle(b.Header)
	_, ok = c.final(nil, b.Level)
	require.False(t, ok, "a block that is not in the cache")
}

// TestReadersAtOnce is for the race detector: a guard and an operator's look share the reader.
func TestReadersAtOnce(t *testing.T) {
	r := newRig(t, always)
	for range Window {
		r.attest()
	}
	var looks sync.WaitGroup
	for i := range 6 {
		keys := r.keys[:1+i%2]
		looks.Go(func() {
			_, err := r.reader.Silence(t.Context(), keys)
			require.NoError(t, err)
			marks, err := r.reader.LastSigned(t.Context(), keys)
			require.NoError(t, err)
			require.Len(t, marks, len(keys))
		})
	}
	looks.Wait()
}

// TestTheWalkEnds at level 1, at the caller's wish, and at an error.
func TestTheWalkEnds(t *testing.T) {
	r := newRig(t, always)
	for range 5 {
		r.sim.Advance()
	}
	head := r.sim.Head()
	var levels []int32
	before := r.sim.Served()
	for h, err := range r.reader.Back(t.Context(), head) {
		require.NoError(t, err)
		if levels = append(levels, h.Level); len(levels) == 3 {
			break
		}
	}
	require.Equal(t, []int32{head.Level, head.Level - 1, head.Level - 2}, levels)
	require.Equal(t, before+2, r.sim.Served())
	var errs []error
	for _, err := range r.reader.Back(t.Context(), head) {
		errs = append(errs, err)
	}
	require.ErrorIs(t, errs[len(errs)-1], node.ErrNotFound)
	require.NoError(t, errs[len(errs)-2])
	require.Len(t, slices.Collect(func(yield func(int32) bool) {
		for h := range r.reader.Back(t.Context(), node.Header{Level: 1}) {
			yield(h.Level)
		}
	}), 1)
}
