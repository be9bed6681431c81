// Package judge counts what two machines sign, and finds the faults that slash a baker.
package judge

import (
	"slices"
	"strings"
	"sync"
	"time"

	"highwater/internal/baker"
	"highwater/internal/tezos"
)

// Tally keeps every signature of both instances for the judge, with time and side.
type Tally struct {
	judge *baker.Judge

	mu      sync.Mutex
	signed  []Signature
	answers map[string]int // number of answers, by side
}

// Signature is one released signature.
type Signature struct {
	Side  int // 0 or 1
	key   tezos.PublicKeyHash
	Kind  tezos.Kind
	Level int32
	round int32
	fresh bool      // the first signature of its place
	asked time.Time // for
	At    time.Time // arrival
}

// New makes a tally of nothing.
func New() *Tally { return &Tally{judge: baker.NewJudge(), answers: map[string]int{}} }

// Note takes down a released signature.
func (t *Tally) Note(
	side int, key tezos.PublicKeyHash, step baker.Step, payload []byte, sig tezos.Signature, asked time.Time,
) error {
	at := time.Now()
	fresh, err := t.judge.Note(key, payload, sig)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.signed = append(t.signed, Signature{side, key, step.Kind, step.Level, step.Round, fresh, asked, at})
	return err
}

// Answered counts the answers of a side of this name.
func (t *Tally) Answered(side, what string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.answers[side+" "+what]++
}

// Refused is how many questions a side said no to.
func (t *Tally) Refused(name string) (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for what, times := range t.answers {
		if strings.HasPrefix(what, name+" 4") {
			n += times
		}
	}
	return n
}

// Of gives the signatures that fulfil f, in order of arrival.
func (t *Tally) Of(f func(Signature) bool) []Signature {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []Signature
	for _, s := range t.signed {
		if f(s) {
			out = append(out, s)
		}
	}
	return out
}

// By are a side's signatures for requests made since a moment. A signature from before may arrive later.
func (t *Tally) By(side int, since time.Time) []Signature {
	return t.Of(func(s Signature) bool { return s.Side == side && s.asked.After(since) })
}

// Missed are the levels of a range at which some key lacks an attestation or a preattestation.
func (t *Tally) Missed(keys []*tezos.PublicKey, from, to int32) []int32 {
	type place struct {
		key   tezos.PublicKeyHash
		kind  tezos.Kind
		level int32
	}
	have := map[place]bool{}
	for _, s := range t.Of(func(s Signature) bool { return s.Kind != tezos.Block }) {
		have[place{s.key, s.Kind, s.Level}] = true
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

// Gaps are the longest times, after a moment, between two signatures of a key for which both sides are always asked.
// between: the side changed. within: the side stayed, so within is the cost of the machine and the requests alone.
func (t *Tally) Gaps(key tezos.PublicKeyHash, since time.Time) (between, within time.Duration) {
	signed := t.Of(func(s Signature) bool { return s.key == key && s.At.After(since) })
	for i := 1; i < len(signed); i++ {
		took := signed[i].At.Sub(signed[i-1].At)
		if signed[i].Side != signed[i-1].Side {
			between = max(between, took)
		} else {
			within = max(within, took)
		}
	}
	return between, within
}

// Doubles are the places with two payloads or two signatures, with their levels: the slashable faults.
func (t *Tally) Doubles() []string { return t.judge.Doubles() }

// Signed is how many places were signed.
func (t *Tally) Signed() int { return t.judge.Signed() }

// Overlap are the levels at which both sides signed one kind with one key.
func (t *Tally) Overlap() []int32 {
	type place struct {
		key   tezos.PublicKeyHash
		kind  tezos.Kind
		level int32
	}
	sides, out := map[place]int{}, []int32{}
	for _, s := range t.Of(func(Signature) bool { return true }) {
		at := place{s.key, s.Kind, s.Level}
		if before, ok := sides[at]; ok && before != s.Side && !slices.Contains(out, s.Level) {
			out = append(out, s.Level)
		}
		sides[at] = s.Side
	}
	return out
}
