package rights

import (
	"cmp"
	"slices"
	"time"
	"unique"

	"highwater/internal/tezos"
)

// kept is a right in less than half of its size: a follower of a hundred keys keeps tens of thousands.
type kept struct {
	key          unique.Handle[tezos.PublicKeyHash]
	level, round int32
	kind         tezos.Kind
}

// ended is a Past in half of its size.
type ended struct {
	key                 unique.Handle[tezos.PublicKeyHash]
	at                  int64 // unix, milliseconds
	level, round, chain int32
	kind                tezos.Kind
	outcome             Outcome
}

// pack keeps rights, in their order.
func pack(rights []Right) []kept {
	out := make([]kept, len(rights))
	for i, r := range rights {
		out[i] = kept{unique.Make(r.PKH), r.Level, r.Round, r.Kind}
	}
	return out
}

// right is the right as it was, without a time.
func (k kept) right() Right {
	return Right{PKH: k.key.Value(), Kind: k.kind, Level: k.level, Round: k.round}
}

// end keeps a right with its outcome.
func end(p Past) ended {
	return ended{unique.Make(p.PKH), p.At.UnixMilli(), p.Level, p.Round, p.Chain, p.Kind, p.Outcome}
}

// past is the right with its outcome as it was.
func (e ended) past() Past {
	p := Past{Right{PKH: e.key.Value(), Kind: e.kind, Level: e.level, Round: e.round}, e.outcome, e.chain}
	if e.outcome != Unknown {
		p.At = time.UnixMilli(e.at).UTC()
	}
	return p
}

// firstOf is the index of the first element at a level or above, in elements by level.
func firstOf[E any](all []E, level int32, of func(E) int32) int {
	i, _ := slices.BinarySearchFunc(all, level, func(e E, l int32) int { return cmp.Compare(of(e), l) })
	return i
}

func levelOfKept(k kept) int32   { return k.level }
func levelOfEnded(e ended) int32 { return e.level }
