// Package gate lets requests in while an instance is active, and waits for those inside.
package gate

import (
	"context"
	"sync"

	"highwater/hwm"
	"highwater/signer/refusal"
)

// Gate lets requests in while the instance is active, and counts the requests inside, so that a fence can wait for
// them.
type Gate struct {
	me      hwm.InstanceID
	mu      sync.Mutex
	isOpen  bool
	ended   bool            // for good: the process stops
	because *refusal.Denial // why the gate is closed while the role is active; nil: nothing particular
	epoch   int             // grows when the requests inside are given up
	inside  int             // passes not yet returned
	empty   chan struct{}   // closed while nobody is inside
}

// New makes a closed gate of the instance me.
func New(me hwm.InstanceID) *Gate {
	g := &Gate{me: me, empty: make(chan struct{})}
	close(g.empty)
	return g
}

// Pass is the right to be inside. The holder returns the pass by Leave; Hold makes the pass count once more.
type Pass struct {
	gate  *Gate
	epoch int
}

// Open lets requests in, unless the gate is closed for good.
func (g *Gate) Open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen, g.because = !g.ended, nil
}

// End closes for good.
func (g *Gate) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen, g.ended, g.because = false, true, nil
}

// Explain sets the refusal for requests while the role is active.
func (g *Gate) Explain(because *refusal.Denial) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.because = because
}

// Close refuses newcomers from now on. Requests inside go on.
func (g *Gate) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.isOpen = false
}

// Drain waits until nobody is inside. When ctx ends first, the requests inside are given up: their signatures never
// leave.
func (g *Gate) Drain(ctx context.Context) {
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

// Enter lets a request in, or gives the *refusal.Denial of the role.
func (g *Gate) Enter(role func() hwm.RoleRecord) (*Pass, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if no := g.closed(role); no != nil {
		return nil, no
	}
	g.add()
	return &Pass{g, g.epoch}, nil
}

// Denial is the refusal of Enter; nil while requests are let in.
func (g *Gate) Denial(role func() hwm.RoleRecord) *refusal.Denial {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.closed(role)
}

// closed is Denial; the caller holds g.mu.
func (g *Gate) closed(role func() hwm.RoleRecord) *refusal.Denial {
	if g.isOpen {
		return nil
	}
	r := role()
	if r.Role == hwm.Active && g.because != nil {
		return g.because
	}
	return g.notActive(r)
}

// IsOpen tells whether requests are let in now.
func (g *Gate) IsOpen() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.isOpen
}

func (g *Gate) add() {
	if g.inside == 0 {
		g.empty = make(chan struct{})
	}
	g.inside++
}

// Hold makes the pass count once more.
func (p *Pass) Hold() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.add()
}

// Leave returns the pass.
func (p *Pass) Leave() {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	p.gate.inside--
	if p.gate.inside == 0 {
		close(p.gate.empty)
	}
}

// Check tells whether the holder may still let a signature out.
func (p *Pass) Check() error { return p.Do(func() error { return nil }) }

// Do runs f while the holder may still sign. A fence that gives up the requests inside waits for a running f; f must
// be quick.
func (p *Pass) Do(f func() error) error {
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.epoch != p.gate.epoch {
		return &refusal.Denial{Reason: refusal.NotActive, Text: "the instance stopped signing while the device was at work"}
	}
	return f()
}

// Between runs f while nobody is in Pass.Do.
func (g *Gate) Between(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

// since is the layout of the moment of a role in a refusal.
const since = "2006-01-02 15:04:05 MST"

func (g *Gate) notActive(r hwm.RoleRecord) *refusal.Denial {
	d := &refusal.Denial{Reason: refusal.NotActive}
	switch r.Role {
	case hwm.Standby:
		d.Text = "the instance is on standby since " + r.Since.Format(since) + " and does not sign: " + r.Why
		d.Hint = "if no second machine signs with the keys: highwater activate"
		if r.Owner != g.me {
			d.Hint = "the peer may sign; see: highwater status. To sign here: highwater handover"
		}
	case hwm.Fenced:
		d.Text = "the instance is fenced since " + r.Since.Format(since) + " and does not sign: " + r.Why
		d.Hint = "before anything else, find the second signer of the keys; highwater status shows the evidence " +
			"and the next step"
	case hwm.Active:
		d.Text = "the instance is changing role, or stopping, and does not sign now"
	default:
		d.Text = "the instance has no role and does not sign"
	}
	return d
}
