// Package proxy stands between two machines, and breaks their connections at chosen moments.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Stage is the progress of a connection. The link speaks TLS 1.3, one question for each connection, so the proxy sees
// bursts in turn: greeting, greeting of the server, question, answer.
type Stage int

// The stages.
const (
	OnConnect  Stage = iota // the connection was made
	onGreeting              // the asker has greeted
	onWelcome               // the server has greeted
	OnQuestion              // the question has come to the proxy, and was not passed on
	OnAnswer                // the answer has come to the proxy: its content is durable at the server
	OnEnd                   // the answer was passed on
	Stages
)

func (s Stage) String() string {
	return [...]string{"connection", "greeting", "welcome", "question", "answer", "end"}[s]
}

// Fate is the proxy's act on a burst at a stage.
type Fate struct {
	At    Stage
	Half  bool          // pass half of the burst on first
	Lose  bool          // end the connection: the burst is lost
	Delay time.Duration // pass the burst on later
	Again bool          // send the asker's bytes to the server once more, in a new connection
	Call  func()        // is called first
}

func (f Fate) String() string {
	switch {
	case f.Half:
		return fmt.Sprintf("torn at the %s", f.At)
	case f.Delay > 0:
		return fmt.Sprintf("late at the %s", f.At)
	case f.Again:
		return fmt.Sprintf("repeated at the %s", f.At)
	}
	return fmt.Sprintf("lost at the %s", f.At)
}

// Proxy passes connections on, or breaks connections. The proxy cannot read the encrypted bytes.
type Proxy struct {
	net.Listener
	dial func(ctx context.Context) (net.Conn, error)

	mu    sync.Mutex
	fates func() []Fate     // of the next connection; nil: none
	open  map[net.Conn]bool // both ends of all open connections
	wg    sync.WaitGroup
}

// New makes a proxy that passes everything on to the end of dial's connection.
func New(l net.Listener, dial func(ctx context.Context) (net.Conn, error)) *Proxy {
	return &Proxy{Listener: l, dial: dial, open: map[net.Conn]bool{}}
}

// Decide has f choose the fate of each new connection; nil: no faults.
func (p *Proxy) Decide(f func() []Fate) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fates = f
}

// Run passes connections on until ctx ends, and then ends with all its goroutines.
func (p *Proxy) Run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = p.Close(); p.HangUp() })
	defer stop()
	for {
		c, err := p.Accept()
		if err != nil {
			break
		}
		p.wg.Go(func() { p.pass(ctx, c, p.next()) })
	}
	p.HangUp()
	p.wg.Wait()
}

func (p *Proxy) next() []Fate {
	p.mu.Lock()
	f := p.fates
	p.mu.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

// HangUp ends all connections under way.
func (p *Proxy) HangUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
}

func (p *Proxy) hold(c net.Conn) func() {
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
	*Proxy
	asker, other net.Conn
	fates        []Fate

	mu    sync.Mutex
	stage Stage
	said  []byte // by the asker
}

var errLost = errors.New("lost on the way")

// pass passes one connection on, to its end.
func (p *Proxy) pass(ctx context.Context, asker net.Conn, fates []Fate) {
	defer p.hold(asker)()
	x := &crossing{Proxy: p, asker: asker, fates: fates}
	if x.meet(ctx, OnConnect, nil, nil) != nil {
		return
	}
	other, err := p.dial(ctx)
	if err != nil {
		return
	}
	defer p.hold(other)()
	x.other = other
	p.wg.Go(func() { x.copy(ctx, other, asker, onGreeting, OnQuestion) })
	x.copy(ctx, asker, other, onWelcome, OnAnswer)
	_ = x.meet(ctx, OnEnd, nil, nil)
}

// copy passes one direction on. Its first burst meets stage first, its second burst stage second; a burst of the other
// direction stands between the two. The end of one direction ends both: each connection has one question.
func (x *crossing) copy(ctx context.Context, to, from net.Conn, first, second Stage) {
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

func (x *crossing) burst(ctx context.Context, to io.Writer, b []byte, first, second Stage) error {
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
func (x *crossing) meet(ctx context.Context, at Stage, to io.Writer, b []byte) error {
	for _, f := range x.fates {
		if f.At != at {
			continue
		}
		if f.Call != nil {
			f.Call()
		}
		if f.Again {
			x.repeat(ctx)
		}
		if f.Delay > 0 {
			select {
			case <-time.After(f.Delay):
			case <-ctx.Done():
			}
		}
		if f.Half && to != nil {
			_, _ = to.Write(b[:len(b)/2])
		}
		if f.Lose || f.Half {
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
