package main

import (
	"context"
	"net"
	"slices"
	"sync"
)

// way is the treatment of bytes in a proxy.
type way int

const (
	open   way = iota
	cut        // nothing passes
	answer     // questions pass, and their answers are lost
	late       // one question passes with its answer; the next is held until deliver, and the rest is lost
)

// questionSize is the least size of a question: acknowledgements, pings and cancellations of HTTP/2 are smaller.
const questionSize = 100

// proxy is the link of one machine to one member of the register.
type proxy struct {
	site     site
	listener net.Listener
	to       string

	mu    sync.Mutex
	way   way
	conns map[net.Conn]bool
	asked map[net.Conn]int    // questions since the way is late, by the connection to the member
	held  map[net.Conn][]byte // by the same; nil: delivered
	turn  chan struct{}       // closed at the next change of the way
	wg    sync.WaitGroup
}

func newProxy(ctx context.Context, at site, to string) (*proxy, error) {
	l, err := at.listen(ctx, "127.0.0.1:0")
	return &proxy{site: at, listener: l, to: to, conns: map[net.Conn]bool{}, turn: make(chan struct{})}, err
}

// set changes the way. Connections that lost bytes end.
func (p *proxy) set(w way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.way, p.asked, p.held = w, map[net.Conn]int{}, map[net.Conn][]byte{}
	close(p.turn)
	p.turn = make(chan struct{})
	if w == open {
		for c := range p.conns {
			_ = c.Close()
		}
	}
}

// lead leads the link to another address, and ends its connections.
func (p *proxy) lead(to string) {
	p.mu.Lock()
	p.to = to
	p.mu.Unlock()
	p.set(open)
}

func (p *proxy) target() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to
}

// deliver sends the held questions, long after their sender has given them up. Answers stay lost. The result is how
// many were sent.
func (p *proxy) deliver() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for to, question := range p.held {
		if _, err := to.Write(question); err == nil {
			n++
		}
		p.held[to] = nil
	}
	p.way = answer
	return n
}

// passes tells whether bytes of a direction pass; asks: towards the member at the end of the given connection.
func (p *proxy) passes(member net.Conn, asks bool, bytes []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.way {
	case cut:
		return false
	case answer:
		return asks
	case late:
		if _, holds := p.held[member]; holds {
			return false
		}
		if asks && len(bytes) >= questionSize {
			if p.asked[member]++; p.asked[member] > 1 {
				p.held[member] = slices.Clone(bytes)
				return false
			}
		}
	case open:
	}
	return true
}

func (p *proxy) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = p.listener.Close(); p.set(open) })
	defer stop()
	for {
		c, err := p.listener.Accept()
		if err != nil {
			p.wg.Wait()
			return
		}
		p.wg.Go(func() { p.pass(ctx, c) })
	}
}

func (p *proxy) pass(ctx context.Context, c net.Conn) {
	defer p.hold(c)()
	to, err := p.site.dial(ctx, p.target())
	if err != nil {
		return
	}
	defer p.hold(to)()
	p.wg.Go(func() { p.copy(c, to, true); p.outlive(ctx, to); _ = to.Close() })
	p.copy(to, c, false)
}

// copy passes one direction on, as far as the way lets bytes pass.
func (p *proxy) copy(from, to net.Conn, asks bool) {
	member := from
	if asks {
		member = to
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && p.passes(member, asks, buf[:n]) {
			if _, wrong := to.Write(buf[:n]); wrong != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// outlive keeps a connection to a member open after the sender's end, for a held question, until the way changes.
func (p *proxy) outlive(ctx context.Context, member net.Conn) {
	p.mu.Lock()
	_, holds := p.held[member]
	turn := p.turn
	p.mu.Unlock()
	if !holds {
		return
	}
	select {
	case <-turn:
	case <-ctx.Done():
	}
}

func (p *proxy) hold(c net.Conn) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return func() {
		_ = c.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, c)
	}
}
