package main

import (
	"context"
	"net"
	"sync"
)

// way is the treatment of bytes in a proxy.
type way int

const (
	open   way = iota
	cut        // nothing passes
	answer     // questions pass, and their answers are lost
)

// proxy is the link of one machine to one member of the register.
type proxy struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	way   way
	conns map[net.Conn]bool
	wg    sync.WaitGroup
}

func newProxy(ctx context.Context, to string) (*proxy, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	return &proxy{listener: l, to: to, conns: map[net.Conn]bool{}}, err
}

// set changes the way. Connections that lost bytes end.
func (p *proxy) set(w way) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.way = w
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

func (p *proxy) now() way {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.way
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
	to, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.target())
	if err != nil {
		return
	}
	defer p.hold(to)()
	p.wg.Go(func() { p.copy(c, to, cut); _ = to.Close() })
	p.copy(to, c, answer)
}

// copy passes one direction on, unless the link is cut or lost covers the direction.
func (p *proxy) copy(from, to net.Conn, lost way) {
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if w := p.now(); n > 0 && w != cut && w != lost {
			if _, wrong := to.Write(buf[:n]); wrong != nil {
				return
			}
		}
		if err != nil {
			return
		}
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
