package rights

import (
	"math"
	"slices"
	"time"

	"highwater/internal/tezos"
)

// Each calls look for the known rights of all keys above the head, without a copy: blocks and attestations, each by
// level. The function look must not call the follower.
func (f *Follower) Each(look func(Right)) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.between(f.head, math.MaxInt32, look)
}

// between calls look for the known rights at the levels above from, and up to to, with their times. The caller holds
// f.mu.
func (f *Follower) between(from, to int32, look func(Right)) {
	for _, p := range f.ahead {
		for _, k := range p.rights {
			if k.level > from && k.level <= to {
				r := k.right()
				r.At = f.pace.of(r.Level)
				look(r)
			}
		}
	}
}

// Version counts the changes of the rights and times that Each tells.
func (f *Follower) Version() uint64 {
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.version
}

// At is the estimated time of a level, as if every level took one round; zero before two heads were seen.
func (f *Follower) At(level int32) time.Time {
	if f == nil {
		return time.Time{}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pace.of(level)
}

// Past gives the rights of all keys at the final levels from..; the lowest level first.
func (f *Follower) Past(from int32) (out []Past) {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	finals := f.finals[firstAt(f.finals, from):]
	for _, k := range f.past[firstAt(f.past, from):] {
		for finals[0].level < k.level {
			finals = finals[1:]
		}
		out = append(out, k.past(finals[0]))
	}
	return out
}

// EachMissed calls look for the missed rights at the final levels from.., without a copy; the lowest level first. The
// function look must not call the follower.
func (f *Follower) EachMissed(from int32, look func(pkh tezos.PublicKeyHash, kind tezos.Kind, level int32)) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.past[firstAt(f.past, from):] {
		if k.outcome == Missed {
			look(k.key.Value(), k.kind, k.level)
		}
	}
}

// EachPending calls look for the rights of all keys at the levels up to the head whose outcome is not final yet, as Each
// does.
func (f *Follower) EachPending(look func(Right)) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.between(f.settled, f.head, look)
}

// Known are the levels whose outcomes Past has; to is below from where no level is known yet.
func (f *Follower) Known() (from, to int32) {
	if f == nil {
		return 1, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.settled == 0 {
		return 1, 0
	}
	return f.from, f.settled
}

// Planned are the last levels whose rights to attest, and to make blocks, are known; 0: none yet.
func (f *Follower) Planned() (attest, blocks int32) {
	if f == nil {
		return 0, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ahead[0].to, f.ahead[1].to
}

// Problem is why the node tells no rights; nil while it tells.
func (f *Follower) Problem() error {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.problem
}

// Changed is closed after the next look at the node.
func (f *Follower) Changed() <-chan struct{} {
	if f == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news
}

// pace estimates the times of coming levels.
type pace struct {
	level int32
	at    time.Time
	step  time.Duration // the shortest time of a level among the last heads
	steps [32]time.Duration
	n     int
}

// saw notes a head. A level that took more rounds than one is slower than the pace.
func (p *pace) saw(level int32, at time.Time) {
	if levels := level - p.level; p.level > 0 && levels > 0 && at.After(p.at) {
		p.steps[p.n%len(p.steps)] = at.Sub(p.at) / time.Duration(levels)
		p.n++
		p.step = slices.Min(p.steps[:min(p.n, len(p.steps))])
	}
	p.level, p.at = level, at
}

// of is the estimated time of a level; zero before two heads were seen.
func (p *pace) of(level int32) time.Time {
	if p.step == 0 {
		return time.Time{}
	}
	return p.at.Add(time.Duration(level-p.level) * p.step)
}
