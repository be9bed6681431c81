package tezsignsim

import (
	"context"
	"fmt"
	"sync"

	"highwater/tezsign"
)

// Open opens the gadget as a host does. Open is a tezsign.OpenFunc.
func (g *Gadget) Open(ctx context.Context, serial string) (tezsign.Gadget, error) {
	return Bus{g}.Open(ctx, serial)
}

// Bus is a set of gadgets connected to one host.
type Bus []*Gadget

// Open finds and opens a gadget by its serial. Open is a tezsign.OpenFunc.
func (b Bus) Open(_ context.Context, serial string) (tezsign.Gadget, error) {
	var infos []tezsign.Info
	var found []*Gadget
	for i, g := range b {
		if g.ports[0].connected() {
			infos = append(infos, tezsign.Info{Serial: g.opts.Serial, Where: fmt.Sprintf("sim:%d", i)})
			found = append(found, g)
		}
	}
	info, err := tezsign.Pick(serial, infos)
	if err != nil {
		return nil, err
	}
	for i := range infos {
		if infos[i] == info {
			info.Where = "sim"
			plugs := [2]int{found[i].ports[0].plugNumber(), found[i].ports[1].plugNumber()}
			return &handle{g: found[i], info: info, plugs: plugs}, nil
		}
	}
	return nil, tezsign.ErrGone
}

func (p *port) connected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bound
}

func (p *port) plugNumber() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.plug
}

// handle is a host's opened gadget, of one enumeration.
type handle struct {
	g     *Gadget
	info  tezsign.Info
	plugs [2]int
}

func (h *handle) Info() tezsign.Info { return h.info }

func (h *handle) Close() error { return nil }

// Claim gives an interface to one handle at a time.
func (h *handle) Claim(_ context.Context, iface int) (tezsign.Channel, error) {
	if iface < 0 || iface >= len(h.g.ports) {
		return nil, fmt.Errorf("there is no interface %d", iface)
	}
	p := h.g.ports[iface]
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.plug != h.plugs[iface]:
		return nil, tezsign.ErrGone
	case p.claimed:
		return nil, fmt.Errorf("interface %d: %w", iface, tezsign.ErrInUse)
	}
	p.claimed = true
	p.claims++
	ctx, cancel := context.WithCancelCause(context.Background())
	return &channel{p: p, plug: p.plug, ctx: ctx, cancel: cancel}, nil
}

// Control answers the readiness request; any other request stalls.
func (h *handle) Control(_ context.Context, requestType, request uint8, value, index uint16, data []byte) (int, error) {
	if int(index) >= len(h.g.ports) || h.g.ports[index].plugNumber() != h.plugs[index] {
		return 0, tezsign.ErrGone
	}
	answer, ok := h.g.Readiness(requestType, request, value)
	if !ok {
		return 0, fmt.Errorf("control request %02x/%02x: the endpoint stalled", requestType, request)
	}
	return copy(data, answer), nil
}

// Readiness is the answer to a control request on endpoint 0, false for a stall: "TZSG", version 1 little endian,
// ready, a filler.
func (g *Gadget) Readiness(requestType, request uint8, value uint16) ([]byte, bool) {
	switch {
	case request != 0x5a || value != 0:
		return nil, false
	case requestType == 0xc1:
		return nil, true
	case requestType != 0x81:
		return nil, false
	}
	up := byte(0)
	g.mu.Lock()
	if g.boot != nil && !g.faults.notReady {
		up = 1
	}
	g.mu.Unlock()
	return []byte{'T', 'Z', 'S', 'G', 1, 0, up, 0}, true
}

// channel is a claimed interface.
type channel struct {
	p      *port
	plug   int
	ctx    context.Context //nolint:containedctx // ends with Close, which must end reads and writes
	cancel context.CancelCauseFunc
	once   sync.Once
}

func (c *channel) MaxPacket() int { return c.p.max }

func (c *channel) Write(ctx context.Context, b []byte) (int, error) {
	ctx, stop := c.join(ctx)
	defer stop()
	return c.p.hostWrite(ctx, c.plug, b)
}

func (c *channel) Read(ctx context.Context, buf []byte) (int, error) {
	ctx, stop := c.join(ctx)
	defer stop()
	return c.p.hostRead(ctx, c.plug, buf)
}

// join returns a context that ends with the channel too.
func (c *channel) join(ctx context.Context) (joined context.Context, stop func()) {
	joined, cancel := context.WithCancel(ctx)
	undo := context.AfterFunc(c.ctx, cancel)
	return joined, func() { undo(); cancel() }
}

func (c *channel) Close() error {
	c.once.Do(func() {
		c.cancel(nil)
		c.p.mu.Lock()
		defer c.p.mu.Unlock()
		if c.p.plug == c.plug {
			c.p.claimed = false
			c.p.change()
		}
	})
	return nil
}
