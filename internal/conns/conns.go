// Package conns bounds the connections of a listener and their time.
package conns

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// Limits bound a listener's connections, and each connection.
type Limits struct {
	ReadHeader, Read, Write, Idle time.Duration
	Shutdown                      time.Duration // time for the requests under way at the end
	HeaderBytes                   int
	Conns                         int // of one listener
}

// Standard are the limits of every listener. The write time-out must leave room for a request's whole budget.
func Standard() Limits {
	return Limits{
		ReadHeader: 5 * time.Second, Read: 10 * time.Second, Write: 60 * time.Second, Idle: 90 * time.Second,
		Shutdown: 10 * time.Second, HeaderBytes: 8 << 10, Conns: 512,
	}
}

// Set bounds the connections of a listener, and knows the connections with a whole request: at the end, the server
// waits for whole requests only. At the bound, the connection longest without a whole request gives way: a flood of
// half requests keeps no client out.
type Set struct {
	most int

	mu       sync.Mutex
	open     map[net.Conn]*conn
	stopping bool
}

// conn is a connection: with a whole request, or waiting for a whole request since a time.
type conn struct {
	net.Conn
	since  time.Time
	whole  bool // a whole request was read, and the answer is not sent yet
	served bool // the connection brought a whole request before
}

type connKey struct{}

// New gives a set of at most so many connections.
func New(most int) *Set { return &Set{most: most, open: map[net.Conn]*conn{}} }

// Context names the connection to the handler of its requests (http.Server.ConnContext).
func (c *Set) Context(ctx context.Context, nc net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, nc)
}

// State follows the states of a connection (http.Server.ConnState).
func (c *Set) State(nc net.Conn, state http.ConnState) {
	var victim net.Conn
	c.mu.Lock()
	switch state {
	case http.StateNew:
		victim = c.add(nc)
	case http.StateIdle:
		if k := c.open[nc]; k != nil {
			k.whole, k.since = false, time.Now()
		}
	case http.StateClosed, http.StateHijacked:
		delete(c.open, nc)
	case http.StateActive: // some bytes of a request, not a whole request
	}
	c.mu.Unlock()
	if victim != nil {
		cut(victim)
	}
}

// add takes a connection in, and gives the connection to cut in exchange; nil: none. The caller holds c.mu.
func (c *Set) add(nc net.Conn) (victim net.Conn) {
	if c.stopping {
		return nc
	}
	if len(c.open) >= c.most {
		if victim = c.longestWaiting(); victim == nil {
			return nc // all have whole requests
		}
		delete(c.open, victim)
	}
	c.open[nc] = &conn{Conn: nc, since: time.Now()}
	return victim
}

// longestWaiting gives the connection waiting longest for a whole request. Connections that never carried a whole
// request come first. The caller holds c.mu.
func (c *Set) longestWaiting() net.Conn {
	var worst *conn
	for _, k := range c.open {
		if k.whole {
			continue
		}
		if worst == nil || worst.served && !k.served || worst.served == k.served && k.since.Before(worst.since) {
			worst = k
		}
	}
	if worst == nil {
		return nil
	}
	return worst.Conn
}

// Whole notes the end of reading a request. The result is false for a connection given up before.
func (c *Set) Whole(nc net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.open[nc]
	if k == nil {
		return false
	}
	k.whole, k.served = true, true
	return true
}

// Stop cuts the connections without a whole request, later connections too.
func (c *Set) Stop() {
	c.mu.Lock()
	c.stopping = true
	var quiet []net.Conn
	for nc, k := range c.open {
		if !k.whole {
			quiet = append(quiet, nc)
			delete(c.open, nc)
		}
	}
	c.mu.Unlock()
	for _, nc := range quiet {
		cut(nc)
	}
}

// cut closes a connection without a word: TLS would wait for its peer to take a farewell.
func cut(nc net.Conn) {
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	_ = nc.Close() // the error has no reader left
}

// Handler notes when a request of h is whole.
func (c *Set) Handler(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, ok := r.Context().Value(connKey{}).(net.Conn)
		switch {
		case !ok:
		case r.Body == nil || r.Body == http.NoBody:
			if !c.Whole(nc) {
				return
			}
		default:
			noting := *r // a copy: the server looks at the body of its own after the answer
			noting.Body = &noted{r.Body, c, nc}
			r = &noting
		}
		h.ServeHTTP(w, r)
	})
}

// noted is a body with a noted end. On a connection given up, the end of the body is an error.
type noted struct {
	io.ReadCloser
	set *Set
	nc  net.Conn
}

func (b *noted) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF && !b.set.Whole(b.nc) {
		err = net.ErrClosed
	}
	return n, err
}
