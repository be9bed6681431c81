package rights

import (
	"cmp"
	"math"
	"slices"
	"time"
	"unique"

	"highwater/internal/tezos"
)

// kept is a right in sixteen bytes: a follower of a hundred keys keeps tens of thousands of them.
type kept struct {
	key     unique.Handle[tezos.PublicKeyHash]
	level   int32
	round   int16 // a round above 32,767 begins years after its level
	kind    tezos.Kind
	outcome Outcome // of a past right
}

// final is the block of a level with past rights.
type final struct {
	at           int64 // unix, milliseconds
	level, round int32 // round of the block; negative: not known
}

// pack keeps rights, in their order.
func pack(rights []Right) []kept {
	out := make([]kept, len(rights))
	for i, r := range rights {
		out[i] = keepOf(r)
	}
	return out
}

func keepOf(r Right) kept {
	round := int16(min(r.Round, math.MaxInt16)) //nolint:gosec // bounded
	return kept{key: unique.Make(r.PKH), level: r.Level, round: round, kind: r.Kind}
}

// right is the right as it was, without a time.
func (k kept) right() Right {
	return Right{PKH: k.key.Value(), Kind: k.kind, Level: k.level, Round: int32(k.round)}
}

// past is the right with its outcome as it was, from the block of its level.
func (k kept) past(of final) Past {
	p := Past{k.right(), k.outcome, of.round}
	if k.outcome != Unknown {
		p.At = time.UnixMilli(of.at).UTC()
	}
	return p
}

// keepPast adds the outcomes of a level, which have the block of the level in common.
func (f *Follower) keepPast(past []Past) {
	for _, p := range past {
		k := keepOf(p.Right)
		k.outcome = p.Outcome
		f.past = append(f.past, k)
	}
	if len(past) > 0 {
		f.finals = append(f.finals, final{past[0].At.UnixMilli(), past[0].Level, past[0].Chain})
	}
}

// forget lets the levels below a level go.
func (f *Follower) forget(below int32) {
	f.past = slices.Delete(f.past, 0, firstAt(f.past, below))
	f.finals = slices.Delete(f.finals, 0, firstAt(f.finals, below))
}

func (k kept) height() int32  { return k.level }
func (b final) height() int32 { return b.level }

// firstAt is the index of the first element at a level or above, in elements by level.
func firstAt[E interface{ height() int32 }](all []E, level int32) int {
	i, _ := slices.BinarySearchFunc(all, level, func(e E, l int32) int { return cmp.Compare(e.height(), l) })
	return i
}
