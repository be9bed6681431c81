package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
)

// dialTimeout is how long a connection to a member may take, with the TLS handshake.
const dialTimeout = 2 * time.Second

// dialAgain bounds the pause before the next connection to a member that is away. The library's own bound of two
// minutes would cost twenty levels after a long absence.
var dialAgain = backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: time.Second}

// link makes the connections to a member, and remembers the fault of the last connection: the client library tells of a
// time-out only.
type link struct {
	tls *tls.Config // nil: none

	mu  sync.Mutex
	err error
}

// note keeps the fault of a connection; nil: the connection works.
func (l *link) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = err
}

func (l *link) fault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// options let the client library connect through the link.
func (l *link) options() []grpc.DialOption {
	out := []grpc.DialOption{
		grpc.WithContextDialer(l.dial),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: dialAgain, MinConnectTimeout: dialTimeout}),
	}
	if l.tls != nil {
		out = append(out, grpc.WithTransportCredentials(handshake{credentials.NewTLS(l.tls), l}))
	}
	return out
}

func (l *link) dial(ctx context.Context, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		l.note(err)
		return nil, err
	}
	if l.tls != nil {
		return c, nil
	}
	return heard{c, l}, nil
}

// handshake is the TLS of a link.
type handshake struct {
	credentials.TransportCredentials
	link *link
}

func (h handshake) Clone() credentials.TransportCredentials {
	return handshake{h.TransportCredentials.Clone(), h.link}
}

func (h handshake) ClientHandshake(ctx context.Context, authority string, raw net.Conn) (
	net.Conn, credentials.AuthInfo, error,
) {
	c, info, err := h.TransportCredentials.ClientHandshake(ctx, authority, raw)
	if err != nil {
		h.link.note(err)
		return nil, nil, err
	}
	return heard{c, h.link}, info, nil
}

// heard is a connection whose end is noted: with TLS 1.3 a server refuses a certificate after the handshake.
type heard struct {
	net.Conn
	link *link
}

func (c heard) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	switch {
	case err == nil || errors.Is(err, net.ErrClosed):
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		c.link.note(errEnded)
	default:
		c.link.note(err)
	}
	return n, err
}

var errEnded = errors.New("the member ended the connection (is the port for clients, and the scheme right?)")

// cause puts the fault of the last connection beside a time-out.
func (m *member) cause(err error) error {
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if fault := m.link.fault(); fault != nil {
		return fmt.Errorf("no answer within %s: %w", tryTimeout, fault)
	}
	return &silentError{err}
}

// silentError is a time-out without a known fault.
type silentError struct{ error }

func (e *silentError) Error() string { return fmt.Sprintf("no answer within %s", tryTimeout) }

func (e *silentError) Unwrap() error { return e.error }
