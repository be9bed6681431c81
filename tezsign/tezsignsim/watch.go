package tezsignsim

import (
	"fmt"
	"slices"
	"sync"

	"highwater/internal/tezos"
)

// Signed is a signature that the gadget made, whether its answer arrived or not.
type Signed struct {
	Alias  string
	Kind   tezos.Kind
	Level  int32
	Round  int32
	Chain  tezos.ChainID
	Digest [32]byte
}

// watch records what the gadget did and what its host should not have done. It survives power cycles.
type watch struct {
	forgetful bool

	mu         sync.Mutex
	violations []string
	signed     []Signed
	at         map[Signed][32]byte // the digest first signed, by the rest of its Signed
	frames     map[[16]byte]bool   // ids of requests
	requests   [2]int              // how many came, by interface
	spoiled    map[string]bool     // keys whose file on the card is broken
}

func newWatch(forgetful bool) *watch {
	return &watch{forgetful: forgetful, at: map[Signed][32]byte{}, frames: map[[16]byte]bool{}, spoiled: map[string]bool{}}
}

func (w *watch) violation(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

// note records a signature; two of different bytes for one mark are a violation.
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

// id records a request's id and tells whether it came before; that is a violation, except in a resend that the gadget asked for.
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

// lastIDs is how many ids a forgetful gadget keeps at most.
const lastIDs = 1000

// Violations are what the host did against the rules of the device, in order.
func (g *Gadget) Violations() []string {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	return slices.Clone(g.watch.violations)
}

// Signatures are all signatures that the gadget made, in order.
func (g *Gadget) Signatures() []Signed {
	g.watch.mu.Lock()
	defer g.watch.mu.Unlock()
	return slices.Clone(g.watch.signed)
}

// Requests is how many requests came on an interface, ever.
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

// Received is how many bytes hosts wrote to an interface, ever.
func (g *Gadget) Received(iface int) int {
	p := g.ports[iface]
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// Waiting is how many frames wait for the host on an interface.
func (g *Gadget) Waiting(iface int) int {
	p := g.ports[iface]
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.in)
}

// SpoilKey breaks a key's file: no passphrase opens it any more.
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
