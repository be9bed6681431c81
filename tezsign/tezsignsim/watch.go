package tezsignsim

import (
	"fmt"
	"slices"
	"sync"

	"highwater/internal/tezos"
)

// Signed is a signature of the gadget, with or without an answer that arrived.
type Signed struct {
	Alias  string
	Kind   tezos.Kind
	Level  int32
	Round  int32
	Chain  tezos.ChainID
	Digest [32]byte
}

// watch records the gadget's deeds and the host's violations. A watch survives power cycles.
type watch struct {
	forgetful bool

	mu         sync.Mutex
	violations []string
	signed     []Signed
	at         map[Signed][32]byte // the digest signed first, by the rest of Signed
	frames     map[[16]byte]bool   // ids of requests
	requests   [2]int              // number of requests, by interface
	spoiled    map[string]bool     // keys with a broken file on the card
}

func newWatch(forgetful bool) *watch {
	return &watch{forgetful: forgetful, at: map[Signed][32]byte{}, frames: map[[16]byte]bool{}, spoiled: map[string]bool{}}
}

func (w *watch) violation(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

// note records a signature. Two signatures of different bytes for one mark are a violation.
func (w *watch) note(s Signed) {
	if w.forgetful {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	where := s
	where.Digest = [32]byte{}
	if first, ok := w.at[where]; !ok {
		w.at[where] = s.Digest
	} else if first != s.Digest {
		w.violations = append(w.violations, fmt.Sprintf("double signature: %s %s %d/%d", s.Alias, s.Kind, s.Level, s.Round))
	}
	w.signed = append(w.signed, s)
}

// id records a request's id and returns whether the id came before. A repeated id is a violation, except in a resend
// requested by the gadget.
func (w *watch) id(id [16]byte, resend bool) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	again = w.frames[id]
	if again && !resend {
		w.violations = append(w.violations, fmt.Sprintf("the id %x was used twice", id))
	}
	if w.forgetful && len(w.frames) == lastIDs {
		clear(w.frames)
	}
	w.frames[id] = true
	return again
}

// lastIDs bounds the ids kept by a forgetful gadget.
const lastIDs = 1000

// Violations are the host's breaches of the device's rules, in order.
func (g *Gadget) Violations() []string {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	return slices.Clone(g.watch.violations)
}

// Signatures are all signatures of the gadget, in order.
func (g *Gadget) Signatures() []Signed {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	return slices.Clone(g.watch.signed)
}

// Requests is the number of requests ever received on an interface.
func (g *Gadget) Requests(iface int) int {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	return g.watch.requests[iface]
}

func (w *watch) count(iface int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests[iface]++
}

// Received is the number of bytes ever written to an interface by hosts.
func (g *Gadget) Received(iface int) int {
	p := g.ports[iface]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// Waiting is the number of frames that wait for the host on an interface.
func (g *Gadget) Waiting(iface int) int {
	p := g.ports[iface]
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.in)
}

// SpoilKey breaks a key's file: no passphrase opens the key any more.
func (g *Gadget) SpoilKey(alias string) {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	g.watch.spoiled[alias] = true
}

func (w *watch) isSpoiled(alias string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.spoiled[alias]
}
