package api

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"highwater/internal/conns"
	"highwater/operate"
)

// ServeWithin is Serve with other limits: tests do not wait for the real ones.
func ServeWithin(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, read, idle,
	shutdown time.Duration,
) error {
	lim := conns.Standard()
	lim.ReadHeader, lim.Read, lim.Idle, lim.Shutdown = read, read, idle, shutdown
	return serve(ctx, l, h, log, lim)
}

// ServeFew is Serve with another limit of connections.
func ServeFew(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger, most int) error {
	lim := conns.Standard()
	lim.Conns = most
	return serve(ctx, l, h, log, lim)
}

// DecodePayload is the parser of request bodies.
func DecodePayload(body []byte) ([]byte, error) { return decodePayload(body) }

// StandardLimits are the limits of every listener.
func StandardLimits() (readHeader, read, write, idle, shutdown time.Duration, headerBytes, most int) {
	l := conns.Standard()
	return l.ReadHeader, l.Read, l.Write, l.Idle, l.Shutdown, l.HeaderBytes, l.Conns
}

// SetPatience makes a client wait this long for any answer.
func (c *Client) SetPatience(d time.Duration) { c.limit = d }

// Patience is how long a client waits for the answer to a request.
func Patience(path string) time.Duration { return limitOf(path) }

// NewMonitorEvery is NewMonitor with pages told of changes every so often, and readers dropped after so long.
func NewMonitorEvery(a operate.Monitor, m *Metrics, every, within time.Duration) http.Handler {
	h := NewMonitor(a, m).(monitor)
	h.every, h.within, h.rest = every, within, 0
	return h
}

// Listeners counts the open pages of a monitor.
func Listeners(h http.Handler) int { return int(h.(monitor).listeners.Load()) }

// MaxListeners bounds the open pages.
const MaxListeners = maxListeners

// PageCSS is the style of the page.
func PageCSS() string { return pageCSS }

// Tiles are the drawings of the squares, by class.
func Tiles() map[string]string {
	out := map[string]string{}
	for word, d := range tiles {
		out[classOf(word)] = d
	}
	return out
}

// PageLooks looks at an instance as its open pages do.
func PageLooks(of operate.Monitor) func(ctx context.Context) error {
	l := newLive(of)
	return func(ctx context.Context) error {
		_, err := l.look(ctx)
		return err
	}
}
