package main

import (
	"bytes"
	"slices"
	"sync"

	"highwater/internal/baker"
	"highwater/internal/tezos"
)

// try is one request, at one place.
type try struct {
	baker.Step
	payload []byte
	sig     tezos.Signature // zero until a signature came
}

// above compares places.
func (t try) above(u try) bool { return t.Level > u.Level || t.Level == u.Level && t.Round > u.Round }

// book is the client's memory of one key: everything that a slasher would know, and the unanswered requests.
type book struct {
	*tezos.PublicKey
	tz1 bool // resumes after a restart, and on a device without memory

	mu    sync.Mutex
	kinds map[tezos.Kind]*page
	level int32 // the highest level of a request or of a raised mark

	horizon int32 // horizon that became a floor at the last start; 0: none
}

// page is the part of a book for one kind.
type page struct {
	last  *try  // the highest signed request; nil: nothing yet
	open  []try // asked for and never answered: the daemon was killed meanwhile
	floor int32 // highest level of an answered `hwm set`
	maybe int32 // the same, answered or not
}

func newBook(key *tezos.PublicKey, start int32) *book {
	b := &book{PublicKey: key, tz1: key.Curve() == tezos.Ed25519, level: start, kinds: map[tezos.Kind]*page{}}
	for _, kind := range tezos.Kinds {
		b.kinds[kind] = &page{floor: start, maybe: start}
	}
	return b
}

// try makes a request. Variant makes requests at one place differ.
func (b *book) try(kind tezos.Kind, level, round int32, variant byte) try {
	step := baker.Step{Chain: chain, Kind: kind, Level: level, Round: round, Variant: variant}
	if variant%2 == 1 {
		step.DAL = 1
	}
	return try{Step: step, payload: step.Payload(b.Curve())}
}

// opened notes a request without an answer.
func (b *book) opened(t try) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.level = max(b.level, t.Level)
	b.kinds[t.Kind].open = append(b.kinds[t.Kind].open, t)
}

// answered notes an answer: a signature, or, without sig, a refusal.
func (b *book) answered(t try) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.kinds[t.Kind]
	p.open = slices.DeleteFunc(p.open, func(u try) bool { return bytes.Equal(u.payload, t.payload) })
	if !t.sig.IsZero() && (p.last == nil || t.above(*p.last)) {
		p.last = &t
	}
}

// raised notes a raised mark; without an answer, the mark is possibly raised.
func (b *book) raised(kind tezos.Kind, level int32, certain bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.kinds[kind]
	b.level, p.maybe = max(b.level, level), max(p.maybe, level)
	if certain {
		p.floor = max(p.floor, level)
	}
}

// top is the highest level of anything.
func (b *book) top() int32 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.level
}

// inOrder gives the pages by the place of their last signature: a Ledger has one mark for all kinds, and blocks come
// first at a place.
func (b *book) inOrder() []*page {
	var out []*page
	for _, kind := range tezos.Kinds {
		if b.kinds[kind].last != nil {
			out = append(out, b.kinds[kind])
		}
	}
	slices.SortStableFunc(out, func(p, q *page) int {
		switch {
		case p.last.above(*q.last):
			return 1
		case q.last.above(*p.last):
			return -1
		}
		return 0
	})
	return out
}
