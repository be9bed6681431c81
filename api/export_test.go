package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServeWithin is Serve with other limits: tests do not wait for the real ones.
func ServeWithin(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, read, idle, shutdown time.Duration) error {
	lim := standardLimits()
	lim.readHeader, lim.read, lim.idle, lim.shutdown = read, read, idle, shutdown
	return serve(ctx, l, h, log, lim)
}

// ServeFew is Serve with another limit of connections.
func ServeFew(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, conns int) error {
	lim := standardLimits()
	lim.conns = conns
	return serve(ctx, l, h, log, lim)
}

// DecodePayload is the parser of request bodies.
func DecodePayload(body []byte) ([]byte, error) { return decodePayload(body) }

// StandardLimits are the limits of every listener.
func StandardLimits() (readHeader, read, write, idle, shutdown time.Duration, headerBytes, conns int) {
	l := standardLimits()
	return l.readHeader, l.read, l.write, l.idle, l.shutdown, l.headerBytes, l.conns
}

// SetPatience makes a client wait this long for any answer.
func (c *Client) SetPatience(d time.Duration) { c.limit = d }

// Patience is how long a client waits for the answer to a request.
func Patience(path string) time.Duration { return limitOf(path) }
