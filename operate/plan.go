package operate

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// plan is what a status needs of the coming rights.
type plan struct {
	firsts []rights.Right // the first of each key and kind, of round 0; the nearest first
	busy   []busyLevel    // the levels with rights of round 0 and a known time; the lowest first
}

// busyLevel is a level with its estimated time.
type busyLevel struct {
	level int32
	at    time.Time
}

// plans keeps the last plan. A status is asked for each second, the rights change with a head, and many keys have
// thousands of rights.
type plans struct {
	mu      sync.Mutex
	known   bool
	version uint64
	last    plan
}

// read gives the plan of a version of the rights. The rights are walked once for each version. A change between the
// call of Version and the walk makes the plan newer than its number: the next read walks again.
func (p *plans) read(version uint64, each func(func(rights.Right))) plan {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.known || p.version != version {
		p.known, p.version, p.last = true, version, planOf(each)
	}
	return p.last
}

// planOf walks the rights.
func planOf(each func(func(rights.Right))) (out plan) {
	type name struct {
		pkh  tezos.PublicKeyHash
		kind tezos.Kind
	}
	firsts, busy := map[name]rights.Right{}, map[int32]time.Time{}
	each(func(r rights.Right) {
		if r.Round > 0 {
			return
		}
		n := name{r.PKH, r.Kind}
		if old, ok := firsts[n]; !ok || r.Level < old.Level {
			firsts[n] = r
		}
		if !r.At.IsZero() {
			busy[r.Level] = r.At
		}
	})
	texts := map[tezos.PublicKeyHash]string{}
	for n := range firsts {
		texts[n.pkh] = n.pkh.String()
	}
	out.firsts = slices.SortedFunc(maps.Values(firsts), func(a, b rights.Right) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Kind, b.Kind), cmp.Compare(texts[a.PKH], texts[b.PKH]))
	})
	for _, level := range slices.Sorted(maps.Keys(busy)) {
		out.busy = append(out.busy, busyLevel{level, busy[level]})
	}
	return out
}
