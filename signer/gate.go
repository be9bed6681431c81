package signer

import (
	"context"
	"sync"

	"highwater/hwm"
)

// gate lets requests in while the instance is active, and counts the requests inside, so that a fence can wait for
// them.
type gate struct {
	me      hwm.InstanceID
	mu      sync.Mutex
	isOpen  bool
	ended   bool          // for good: the process stops
	because *Denial       // why the gate is closed while the role is active; nil: nothing particular
	epoch   int           // grows when the requests inside are given up
	inside  int           // passes not yet returned
	empty   chan struct{} // closed while nobody is inside
}

func newGate(me hwm.InstanceID) *gate {
	g := &gate{me: me, empty: make(chan struct{})}
	close(g.empty)
	return g
}

// pass is the right to be inside. The holder returns the pass by leave; hold makes the pass count once more.
type pass struct {
	gate  *gate
	epoch int
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen, g.because = !g.ended, nil
}

// end closes for good.
func (g *gate) end() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen, g.ended, g.because = false, true, nil
}

// explain sets the refusal for requests while the role is active.
func (g *gate) explain(because *Denial) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.because = because
}

// close refuses newcomers from now on. Requests inside go on.
func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = false
}

// drain waits until nobody is inside. When ctx ends first, the requests inside are given up: their signatures never
// leave.
func (g *gate) drain(ctx context.Context) {
	g.mu.Lock()
	empty := g.empty
	g.mu.Unlock()
	select {
	case <-empty:
	case <-ctx.Done():
		g.mu.Lock()
		g.epoch++
		g.mu.Unlock()
	}
}

func (g *gate) enter(role func() hwm.RoleRecord) (*pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if no := g.closed(role); no != nil {
		return nil, no
	}
	g.add()
	return &pass{g, g.epoch}, nil
}

// denial is the refusal of enter; nil while requests are let in.
func (g *gate) denial(role func() hwm.RoleRecord) *Denial {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed(role)
}

// closed is denial; the caller holds g.mu.
func (g *gate) closed(role func() hwm.RoleRecord) *Denial {
	if g.isOpen {
		return nil
	}
	r := role()
	if r.Role == hwm.Active && g.because != nil {
		return g.because
	}
	return g.notActive(r)
}

func (g *gate) add() {
	if g.inside == 0 {
		g.empty = make(chan struct{})
	}
	g.inside++
}

func (p *pass) hold() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.add()
}

func (p *pass) leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.inside--
	if p.gate.inside == 0 {
		close(p.gate.empty)
	}
}

// check tells whether the holder may still let a signature out.
func (p *pass) check() error { return p.do(func() error { return nil }) }

// do runs f while the holder may still sign. A fence that gives up the requests inside waits for a running f; f must
// be quick.
func (p *pass) do(f func() error) error {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.epoch != p.gate.epoch {
		return &Denial{Reason: NotActive, Text: "this instance stopped signing while the device was working"}
	}
	return f()
}

// between runs f while nobody is in pass.do.
func (g *gate) between(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *gate) notActive(r hwm.RoleRecord) *Denial {
	d := &Denial{Reason: NotActive}
	switch r.Role {
	case hwm.Standby:
		d.Text = "this instance is on standby since " + r.Since.Format("2006-01-02 15:04:05 MST") + " and does not sign: " + r.Why
		d.Hint = "if no other machine signs with these keys: highwater activate"
		if r.Owner != g.me {
			d.Hint = "the peer may sign; see: highwater status. To sign here: highwater handover"
		}
	case hwm.Fenced:
		d.Text = "this instance is fenced since " + r.Since.Format("2006-01-02 15:04:05 MST") + " and does not sign: " + r.Why
		d.Hint = "before anything else, find the signer with these keys; highwater status shows the evidence " +
			"and the next step"
	case hwm.Active:
		d.Text = "this instance is changing its role, or stopping, and does not sign now"
	default:
		d.Text = "this instance has no role and does not sign"
	}
	return d
}
