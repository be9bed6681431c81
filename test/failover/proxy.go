package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// dialTimeout bounds the attempt to connect over a cut link.
const dialTimeout = 2 * time.Second

// stage is the progress of a connection. The link speaks TLS 1.3, one question for each connection, so the proxy sees
// bursts in turn: greeting, greeting of the server, question, answer.
type stage int

const (
	onConnect  stage = iota // the connection was made
	onGreeting              // the asker has greeted
	onWelcome               // the server has greeted
	onQuestion              // the question has come to the proxy, and was not passed on
	onAnswer                // the answer has come to the proxy: its content is durable at the server
	onEnd                   // the answer was passed on
	stages
)

func (s stage) String() string {
	return [...]string{"connection", "greeting", "welcome", "question", "answer", "end"}[s]
}

// fate is the proxy's act on a burst at a stage.
type fate struct {
	at    stage
	half  bool          // pass half of the burst on first
	lose  bool          // end the connection: the burst is lost
	delay time.Duration // pass the burst on later
	again bool          // send the asker's bytes to the server once more, in a new connection
	call  func()        // is called first
}

// proxy passes connections on, or breaks connections. The proxy cannot read the encrypted bytes.
type proxy struct {
	net.Listener
	dial func(ctx context.Context) (net.Conn, error)

	mu    sync.Mutex
	fates func() []fate     // of the next connection; nil: none
	open  map[net.Conn]bool // both ends of all open connections
	wg    sync.WaitGroup
}

func newProxy(l net.Listener, dial func(ctx context.Context) (net.Conn, error)) *proxy {
	return &proxy{Listener: l, dial: dial, open: map[net.Conn]bool{}}
}

// decide has f choose the fate of each new connection; nil: no faults.
func (p *proxy) decide(f func() []fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fates = f
}

// run passes connections on until ctx ends, and then ends with all its goroutines.
func (p *proxy) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = p.Close(); p.hangUp() })
	defer stop()
	for {
		c, err := p.Accept()
		if err != nil {
			break
		}
		p.wg.Go(func() { p.pass(ctx, c, p.next()) })
	}
	p.hangUp()
	p.wg.Wait()
}

func (p *proxy) next() []fate {
	p.mu.Lock()
	f := p.fates
	p.mu.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

// hangUp ends all connections under way.
func (p *proxy) hangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *proxy) hold(c net.Conn) func() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[c] = true
	return func() {
		_ = c.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, c)
	}
}

// crossing is one connection on its way through the proxy.
type crossing struct {
	*proxy
	asker, other net.Conn
	fates        []fate

	mu    sync.Mutex
	stage stage
	said  []byte // by the asker
}

var errLost = errors.New("lost on the way")

// pass passes one connection on, to its end.
func (p *proxy) pass(ctx context.Context, asker net.Conn, fates []fate) {
	defer p.hold(asker)()
	x := &crossing{proxy: p, asker: asker, fates: fates}
	if x.meet(ctx, onConnect, nil, nil) != nil {
		return
	}
	other, err := p.dial(ctx)
	if err != nil {
		return
	}
	defer p.hold(other)()
	x.other = other
	p.wg.Go(func() { x.copy(ctx, other, asker, onGreeting, onQuestion) })
	x.copy(ctx, asker, other, onWelcome, onAnswer)
	_ = x.meet(ctx, onEnd, nil, nil)
}

// copy passes one direction on. Its first burst meets stage first, its second burst stage second; a burst of the other
// direction stands between the two. The end of one direction ends both: each connection has one question.
func (x *crossing) copy(ctx context.Context, to, from net.Conn, first, second stage) {
	defer x.asker.Close() //nolint:errcheck // either may have gone
	defer x.other.Close() //nolint:errcheck // either may have gone
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && x.burst(ctx, to, buf[:n], first, second) != nil {
			return
		}
		if err != nil {
			return
		}
	}
}

func (x *crossing) burst(ctx context.Context, to io.Writer, b []byte, first, second stage) error {
	x.mu.Lock()
	if first == onGreeting {
		x.said = append(x.said, b...)
	}
	at, fresh := first, x.stage < first
	if x.stage > first {
		at, fresh = second, x.stage < second
	}
	if fresh {
		x.stage = at
	}
	x.mu.Unlock()
	if fresh {
		if err := x.meet(ctx, at, to, b); err != nil {
			return err
		}
	}
	_, err := to.Write(b)
	return err
}

// meet does the chosen fate of a stage.
func (x *crossing) meet(ctx context.Context, at stage, to io.Writer, b []byte) error {
	for _, f := range x.fates {
		if f.at != at {
			continue
		}
		if f.call != nil {
			f.call()
		}
		if f.again {
			x.repeat(ctx)
		}
		if f.delay > 0 {
			select {
			case <-time.After(f.delay):
			case <-ctx.Done():
			}
		}
		if f.half && to != nil {
			_, _ = to.Write(b[:len(b)/2])
		}
		if f.lose || f.half {
			return errLost
		}
	}
	return nil
}

// repeat sends the asker's bytes to the server again, in a new connection, and waits for the end of the connection.
func (x *crossing) repeat(ctx context.Context) {
	c, err := x.dial(ctx)
	if err != nil {
		return
	}
	defer x.hold(c)()
	x.mu.Lock()
	said := append([]byte{}, x.said...)
	x.mu.Unlock()
	if _, err = c.Write(said); err == nil {
		_ = c.SetReadDeadline(time.Now().Add(time.Second))
		_, _ = io.Copy(io.Discard, c)
	}
}
