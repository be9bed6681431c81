package api

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"highwater/internal/conns"
)

// UnixPrefix marks the path of a unix socket as an address.
const UnixPrefix = "unix:"

// Listen opens "host:port" or "unix:/path". A unix socket gets the given mode; the socket of a dead process is
// replaced.
func Listen(ctx context.Context, address string, mode os.FileMode) (net.Listener, error) {
	path, unix := strings.CutPrefix(address, UnixPrefix)
	if !unix {
		return (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	}
	if err := removeStaleSocket(ctx, path); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	// Directory or umask is private: no stranger connects before the mode is set.
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// ErrNotSocket is returned when a file is at the path of a socket.
var ErrNotSocket = errors.New("exists and is not a socket")

func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s %w", path, ErrNotSocket)
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%s is in use by another process", path), c.Close())
	case errors.Is(err, syscall.ECONNREFUSED): // no process listens any more
		return os.Remove(path)
	}
	// A full queue, no permission: a process may listen. Better no listener than the socket of another process taken
	// away.
	return fmt.Errorf("%s may be in use by another process: %w", path, err)
}

// connNoter is a handler with an interest in each connection before any reading.
type connNoter interface {
	ConnContext(ctx context.Context, c net.Conn) context.Context
}

// stopper is a handler with streams that last: Stop ends the streams.
type stopper interface{ Stop() }

// Serve answers on l until ctx ends. Requests under way may end; connections without a whole request are cut.
// Serve closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	return serve(ctx, l, h, log, conns.Standard())
}

func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, lim conns.Limits) error {
	open := conns.New(lim.Conns)
	srv := &http.Server{
		Handler: open.Handler(h), ConnState: open.State, ConnContext: open.Context,
		ReadHeaderTimeout: lim.ReadHeader, ReadTimeout: lim.Read, WriteTimeout: lim.Write,
		IdleTimeout: lim.Idle, MaxHeaderBytes: lim.HeaderBytes, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:                  func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is answered like everything else
	}
	if c, ok := h.(connNoter); ok {
		srv.ConnContext = func(ctx context.Context, nc net.Conn) context.Context {
			return c.ConnContext(open.Context(ctx, nc), nc)
		}
	}
	if s, ok := h.(stopper); ok {
		srv.RegisterOnShutdown(s.Stop)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), lim.Shutdown)
	defer cancel()
	open.Stop()
	err := srv.Shutdown(wait)
	if err != nil {
		err = errors.Join(err, srv.Close())
	}
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// requestIDs names requests: a random part for the process, and a count.
type requestIDs struct {
	process string
	count   atomic.Uint64
}

func newRequestIDs() *requestIDs {
	b := make([]byte, 4)
	_, _ = rand.Read(b) // crypto/rand never fails
	return &requestIDs{process: hex.EncodeToString(b)}
}

func (r *requestIDs) next() string { return r.process + "-" + strconv.FormatUint(r.count.Add(1), 10) }
