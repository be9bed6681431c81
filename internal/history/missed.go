package history

import "highwater/internal/tezos"

// Missed are the levels with a right of a key, and without its block or attestation on chain.
type Missed map[name][]int32

// Add adds a level.
func (m Missed) Add(pkh tezos.PublicKeyHash, kind tezos.Kind, level int32) {
	n := name{pkh, kind}
	m[n] = append(m[n], level)
}

// window are the levels of a series, from and to included; empty: to is below from.
type window struct{ from, to int32 }

// with makes room for a missed level, and keeps the latest Levels.
func (w window) with(level int32) window {
	if w.to < w.from || level-w.to > Levels { // nobody asked, or nobody for long
		return window{level, level}
	}
	w.to = max(w.to, level)
	return window{max(min(w.from, level), w.to-Levels+1), w.to}
}
