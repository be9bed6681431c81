package main

import (
	"slices"
	"strings"
	"sync"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
)

// tally keeps every signature of both instances for the judge, with time and side.
type tally struct {
	judge *baker.Judge

	mu      sync.Mutex
	signed  []signature
	answers map[string]int // number of answers, by side
}

// signature is one released signature.
type signature struct {
	side  int // 0 or 1
	key   tezos.PublicKeyHash
	kind  tezos.Kind
	level int32
	round int32
	fresh bool      // the first signature of its place
	asked time.Time // for
	at    time.Time // arrival
}

func newTally() *tally { return &tally{judge: baker.NewJudge(), answers: map[string]int{}} }

// note takes down a released signature.
func (t *tally) note(
	side int, key tezos.PublicKeyHash, step baker.Step, payload []byte, sig tezos.Signature, asked time.Time,
) error {
	at := time.Now()
	fresh, err := t.judge.Note(key, payload, sig)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.signed = append(t.signed, signature{side, key, step.Kind, step.Level, step.Round, fresh, asked, at})
	return err
}

// answered counts the answers of a side.
func (t *tally) answered(side int, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[sideNames[side]+" "+what]++
}

// refused is how many questions a side said no to.
func (t *tally) refused(name string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, times := range t.answers {
		if strings.HasPrefix(what, name+" 4") {
			n += times
		}
	}
	return n
}

// of are the signatures that fulfil f, in order of arrival.
func (t *tally) of(f func(signature) bool) []signature {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []signature
	for _, s := range t.signed {
		if f(s) {
			out = append(out, s)
		}
	}
	return out
}

// by are a side's signatures for requests made since a moment. A signature from before may arrive later.
func (t *tally) by(side int, since time.Time) []signature {
	return t.of(func(s signature) bool { return s.side == side && s.asked.After(since) })
}

// missed are the levels of a range at which some key lacks an attestation or a preattestation.
func (t *tally) missed(keys []*tezos.PublicKey, from, to int32) []int32 {
	type place struct {
		key   tezos.PublicKeyHash
		kind  tezos.Kind
		level int32
	}
	have := map[place]bool{}
	for _, s := range t.of(func(s signature) bool { return s.kind != tezos.Block }) {
		have[place{s.key, s.kind, s.level}] = true
	}
	var out []int32
	for level := from; level <= to; level++ {
		whole := !slices.ContainsFunc(keys, func(k *tezos.PublicKey) bool {
			return !have[place{k.Hash(), tezos.Attestation, level}] || !have[place{k.Hash(), tezos.Preattestation, level}]
		})
		if !whole {
			out = append(out, level)
		}
	}
	return out
}

// gaps are the longest times, after a moment, between two signatures of a key that both sides are always asked for.
// between: the side changed. within: the side stayed, so within is the cost of the machine and the requests alone.
func (t *tally) gaps(key tezos.PublicKeyHash, since time.Time) (between, within time.Duration) {
	signed := t.of(func(s signature) bool { return s.key == key && s.at.After(since) })
	for i := 1; i < len(signed); i++ {
		took := signed[i].at.Sub(signed[i-1].at)
		if signed[i].side != signed[i-1].side {
			between = max(between, took)
		} else {
			within = max(within, took)
		}
	}
	return between, within
}

// doubles are the places with two payloads or two signatures, with their levels: the slashable faults.
// slashed.
func (t *tally) doubles() []string { return t.judge.Doubles() }
