// Package socket answers octez's socket protocol (tcp:// and unix: locators), with the same answers as HTTP.
package socket

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"highwater/api"
	"highwater/internal/conns"
	"highwater/internal/door"
)

// Serve answers on l until ctx ends. Requests under way may end; connections without a whole request are cut.
// Serve closes l.
func Serve(ctx context.Context, l net.Listener, a *api.Answers, log *slog.Logger) error {
	return serve(ctx, l, a, log, conns.Standard())
}

// server is a listener with all connections.
type server struct {
	answers *api.Answers
	limits  conns.Limits
	open    *conns.Set
	log     *slog.Logger
	ending  chan struct{} // closed at the end: each connection ends with the request under way

	mu   sync.Mutex
	all  map[net.Conn]bool
	done sync.WaitGroup
}

func serve(ctx context.Context, l net.Listener, a *api.Answers, log *slog.Logger, limits conns.Limits) error {
	s := &server{
		answers: a, limits: limits, open: conns.New(limits.Conns), log: log, ending: make(chan struct{}),
		all: map[net.Conn]bool{},
	}
	accepted := make(chan error, 1)
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	go func() { accepted <- s.accept(ctx, inner, l) }()
	select {
	case err := <-accepted:
		return errors.Join(err, s.end())
	case <-ctx.Done():
	}
	err := l.Close()
	if e := <-accepted; !errors.Is(e, net.ErrClosed) {
		err = errors.Join(err, e)
	}
	return errors.Join(err, s.end())
}

// accept takes connections until the listener ends. A passing error (no more files) is waited out, as net/http
// does.
func (s *server) accept(ctx, inner context.Context, l net.Listener) error {
	const longest = time.Second
	pause := 5 * time.Millisecond
	for {
		c, err := l.Accept()
		if err == nil {
			pause = 5 * time.Millisecond
			s.take(inner, c)
			continue
		}
		var passing interface{ Temporary() bool }
		if errors.Is(err, net.ErrClosed) || !errors.As(err, &passing) || !passing.Temporary() {
			return err
		}
		s.log.Warn("no connection can be taken", "error", err)
		select {
		case <-time.After(pause):
			pause = min(2*pause, longest)
		case <-ctx.Done():
			return net.ErrClosed
		}
	}
}

func (s *server) take(ctx context.Context, c net.Conn) {
	s.mu.Lock()
	s.all[c] = true
	s.mu.Unlock()
	s.open.State(c, http.StateNew)
	s.done.Go(func() {
		defer s.drop(c)
		(&conn{server: s, Conn: c, client: door.Client(c.RemoteAddr())}).serve(ctx)
	})
}

func (s *server) drop(c net.Conn) {
	s.open.State(c, http.StateClosed)
	_ = c.Close() // cut before, perhaps
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, c)
}

// errStopped is returned when requests under way did not end in time.
var errStopped = errors.New("requests of the socket protocol were cut off at the end")

// end waits for the requests under way, and cuts the remaining connections.
func (s *server) end() error {
	close(s.ending)
	s.open.Stop()
	ended := make(chan struct{})
	go func() { s.done.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(s.limits.Shutdown):
	}
	s.mu.Lock()
	for c := range s.all {
		_ = c.Close()
	}
	s.mu.Unlock()
	<-ended
	return errStopped
}
