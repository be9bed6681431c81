package tezsignsim

import (
	"context"
	"fmt"
	"sync"

	"highwater/tezsign"
	"highwater/tezsign/frame"
)

// port is the USB side of one interface. Transfers of the host wait for the gadget; frames of the gadget wait for the
// host, packet by packet. A port is the gadget's reader and writer, and outlives the gadget's power.
type port struct {
	max int

	mu      sync.Mutex
	changed chan struct{} // closed at each change
	powered bool
	bound   bool
	reset   bool // unbound since the gadget's last read
	plug    int  // counts (re)enumerations: handles of earlier enumerations are dead
	claims  int  // counts claims
	claimed bool

	out  []transfer // whole transfers, not read by the gadget yet
	last int        // the claim of the gadget's last transfer read
	part []byte     // of an unfinished transfer
	in   [][]byte   // frames, the first perhaps begun
	half bool       // the first frame has begun
	got  int        // bytes ever written by the host
	cut  int        // number of coming writes to cut after one packet
}

// transfer is the bytes that the host sent under a claim.
type transfer struct {
	bytes []byte
	claim int
}

// Bounds of the waiting transfers and frames. A real endpoint holds less.
const (
	maxTransfers = 4
	maxFrames    = 1024
)

func newPort(maxPacket int) *port { return &port{max: maxPacket, changed: make(chan struct{})} }

// change is called with the lock held, after each change.
func (p *port) change() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// attach is the power coming on: every waiting transfer and frame is gone.
func (p *port) attach() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.powered, p.bound, p.reset = true, true, false
	p.plug++
	p.claimed = false
	p.out, p.part, p.in, p.half = nil, nil, nil, false
	p.change()
}

func (p *port) powerOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.powered, p.bound = false, false
	p.plug++
	p.change()
}

// unbind takes the controller away: the host sees the gadget leave. When the controller is back, the gadget's program
// writes unfetched answers again. Bytes from the host that the gadget had not read are lost.
func (p *port) unbind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bound {
		return
	}
	p.bound, p.reset = false, true
	p.plug++
	p.out, p.part = nil, nil
	kept := p.in[:0]
	for i, f := range p.in {
		if len(f) > 1 && frame.Type(f[1]) == frame.Response && (i > 0 || !p.half) {
			kept = append(kept, f)
		}
	}
	p.in, p.half = kept, false
	p.change()
}

func (p *port) bind() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.powered || p.bound {
		return
	}
	p.bound, p.claimed = true, false
	p.plug++
	p.change()
}

// lastClaim is the number of the claim of the gadget's last transfer.
func (p *port) lastClaim() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// Read gives the gadget one transfer.
func (p *port) Read(buf []byte) (int, error) {
	for {
		p.mu.Lock()
		switch {
		case !p.powered:
			p.mu.Unlock()
			return 0, errPower
		case p.bound && p.reset:
			p.reset = false
			p.mu.Unlock()
			return 0, errUnbound
		case p.bound && len(p.out) > 0:
			n := copy(buf, p.out[0].bytes)
			p.last, p.out = p.out[0].claim, p.out[1:]
			p.change()
			p.mu.Unlock()
			return n, nil
		}
		changed := p.changed
		p.mu.Unlock()
		<-changed
	}
}

// Write takes one frame from the gadget.
func (p *port) Write(wire []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.bound {
		return 0, tezsign.ErrGone
	}
	if len(p.in) == maxFrames {
		return 0, fmt.Errorf("%d frames wait for the host", maxFrames)
	}
	p.in = append(p.in, wire)
	p.change()
	return len(wire), nil
}

// hostWrite takes one OUT transfer. A transfer of whole packets ends only with the next short or empty packet.
func (p *port) hostWrite(ctx context.Context, plug int, b []byte) (int, error) {
	for {
		p.mu.Lock()
		if p.plug != plug {
			p.mu.Unlock()
			return 0, tezsign.ErrGone
		}
		if len(p.out) < maxTransfers {
			n, err := p.accept(b)
			p.mu.Unlock()
			return n, err
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// accept is called with the lock held.
func (p *port) accept(b []byte) (int, error) {
	n := len(b)
	var err error
	if p.cut > 0 && n > p.max {
		p.cut--
		n, err = p.max, fmt.Errorf("cut after a packet: %w", tezsign.ErrGone)
	}
	p.part = append(p.part, b[:n]...)
	p.got += n
	if n%p.max != 0 || n == 0 {
		if len(p.part) > 0 {
			p.out = append(p.out, transfer{p.part, p.claims})
		}
		p.part = nil
		p.change()
	}
	return n, err
}

// hostRead does one IN transfer. The transfer ends only when the buffer is full or with a short packet. The gadget
// sends no zero-length packets: a larger buffer waits for the next frame.
func (p *port) hostRead(ctx context.Context, plug int, buf []byte) (int, error) {
	got := 0
	for {
		p.mu.Lock()
		if p.plug != plug {
			p.mu.Unlock()
			return got, tezsign.ErrGone
		}
		for len(p.in) > 0 {
			n := p.packet(buf[got:])
			got += n
			if n < p.max || got == len(buf) {
				p.mu.Unlock()
				return got, nil
			}
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return got, ctx.Err()
		}
	}
}

// packet moves one packet. The caller holds the lock, and a frame is waiting.
func (p *port) packet(buf []byte) int {
	n := copy(buf, p.in[0][:min(p.max, len(p.in[0]))])
	p.in[0] = p.in[0][n:]
	p.half = true
	if len(p.in[0]) == 0 {
		p.in, p.half = p.in[1:], false
	}
	return n
}
