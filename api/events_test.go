package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/api/pagetest"
	"highwater/internal/history"
	"highwater/operate"
)

// changing is an instance whose status the test changes.
type changing struct {
	mu    sync.Mutex
	shown pagetest.Shown
	looks atomic.Int32
	loud  bool // each look finds another long note
}

func (c *changing) Status(context.Context) (operate.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, st := c.looks.Add(1), c.shown.Status
	if c.loud {
		st.Notes = []string{itoa(int(n)), strings.Repeat("note", 100_000)}
	}
	return st, nil
}

func (c *changing) History(context.Context, int) ([]history.Series, int, error) {
	return c.shown.Series, 0, nil
}

func (c *changing) set(f func(*operate.Status)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.shown.Status)
}

type told struct {
	Build string            `json:"build"`
	Now   int64             `json:"now"`
	Title string            `json:"title"`
	Icon  string            `json:"icon"`
	Parts map[string]string `json:"parts"`
}

// pageStream is an open page.
type pageStream struct {
	net.Conn
	lines *bufio.Reader
}

// askEvents begins to listen, as the script of the page does, and reads the head of the answer.
func askEvents(t *testing.T, address, headers string) (net.Conn, *http.Response) {
	t.Helper()
	c := dial(t, address)
	_, err := c.Write([]byte("GET /events HTTP/1.1\r\nAccept: text/event-stream\r\n" + headers + "\r\n\r\n"))
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	return c, resp
}

const ownPage = "Host: localhost\r\nSec-Fetch-Site: same-origin"

// openPage opens a page.
func openPage(t *testing.T, address string) pageStream {
	t.Helper()
	c, resp := askEvents(t, address, ownPage)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	return pageStream{c, bufio.NewReader(resp.Body)}
}

// next reads one event.
func (p pageStream) next(t *testing.T) (e told) {
	t.Helper()
	line, err := p.lines.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "event: page\n", line)
	line, err = p.lines.ReadString('\n')
	require.NoError(t, err)
	data, ok := strings.CutPrefix(line, "data: ")
	require.True(t, ok)
	require.NoError(t, json.Unmarshal([]byte(data), &e))
	_, err = p.lines.ReadString('\n')
	require.NoError(t, err)
	return e
}

func monitorOf(c operate.Monitor) http.Handler {
	return api.NewMonitorEvery(c, api.NewMetrics(), 2*time.Millisecond, time.Minute)
}

// TestAnOpenPageIsToldOfChangesOnly: first of all parts, then of the changed ones.
func TestAnOpenPageIsToldOfChangesOnly(t *testing.T) {
	c := &changing{shown: pagetest.States()[0]}
	at := serve(t, monitorOf(c))
	p := openPage(t, at)
	first := p.next(t)
	require.Len(t, first.Parts, 9)
	require.Equal(t, c.shown.Title, first.Title)
	require.InDelta(t, time.Now().UnixMilli(), first.Now, 60_000)
	require.Contains(t, ask(t, at, "GET", "/", "").body, `data-page="`+first.Build+`"`)

	level := int32(8_123_457)
	c.set(func(st *operate.Status) { st.Head = &operate.Head{Level: level, At: st.Head.At} })
	e := p.next(t)
	require.Len(t, e.Parts, 1)
	require.Contains(t, e.Parts["facts"], "8123457 <small><time class=\"age\" datetime=")
	require.Empty(t, e.Title)

	c.set(func(st *operate.Status) { *st = pagetest.States()[1].Status })
	e = p.next(t)
	require.Contains(t, e.Parts["alarms"], "look for a second signer")
	require.Equal(t, pagetest.States()[1].Title, e.Title)
	require.Contains(t, e.Icon, "data:image/svg+xml,")
}

// TestAStreamOutlivesTheTimeOfARequest: the limits of the listener's requests do not end a stream.
func TestAStreamOutlivesTheTimeOfARequest(t *testing.T) {
	c := &changing{shown: pagetest.States()[0]}
	l, err := api.Listen(t.Context(), "127.0.0.1:0", 0)
	require.NoError(t, err)
	const limit = 50 * time.Millisecond
	serving(t, func(ctx context.Context) error {
		return api.ServeWithin(ctx, l, monitorOf(c), slog.New(slog.DiscardHandler), limit, limit, 5*time.Second)
	})
	p := openPage(t, l.Addr().String())
	for began := time.Now(); time.Since(began) < 4*limit; {
		p.next(t)
		c.set(func(st *operate.Status) { st.Head = &operate.Head{Level: st.Head.Level + 1} })
	}
}

// TestOpenPagesAreBounded: one more is turned away, until a page closes.
func TestOpenPagesAreBounded(t *testing.T) {
	h := monitorOf(&changing{shown: pagetest.States()[0]})
	at := serve(t, h)
	var pages []pageStream
	for range api.MaxListeners {
		pages = append(pages, openPage(t, at))
	}
	_, got := askEvents(t, at, ownPage)
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	require.Equal(t, "5", got.Header.Get("Retry-After"))
	text, err := io.ReadAll(got.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), "16 pages are open already")
	require.NoError(t, pages[0].Close())
	require.Eventually(t, func() bool { return api.Listeners(h) == api.MaxListeners-1 }, 10*time.Second, time.Millisecond)
	openPage(t, at).next(t)
}

// TestASlowReaderIsDropped: nothing waits for a page that does not read, and no memory grows.
func TestASlowReaderIsDropped(t *testing.T) {
	h := api.NewMonitorEvery(&changing{shown: pagetest.States()[0], loud: true}, api.NewMetrics(), time.Millisecond,
		200*time.Millisecond)
	at := serve(t, h)
	c := dial(t, at)
	_, err := c.Write([]byte("GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n"))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return api.Listeners(h) == 1 }, 20*time.Second, time.Microsecond)
	require.Eventually(t, func() bool { return api.Listeners(h) == 0 }, 20*time.Second, time.Millisecond)
}

// TestOpenPagesEndWithTheListener: a stream does not hold the end up.
func TestOpenPagesEndWithTheListener(t *testing.T) {
	h := monitorOf(&changing{shown: pagetest.States()[0]})
	l, err := api.Listen(t.Context(), "127.0.0.1:0", 0)
	require.NoError(t, err)
	stop := serveOn(t, l, h)
	for range 3 {
		openPage(t, l.Addr().String()).next(t)
	}
	began := time.Now()
	require.NoError(t, stop())
	require.Less(t, time.Since(began), 5*time.Second)
	require.Zero(t, api.Listeners(h))
}

// TestNobodyLooksWithoutAPage: the status is read while a page is open, and once for all open pages.
func TestNobodyLooksWithoutAPage(t *testing.T) {
	c := &changing{shown: pagetest.States()[0]}
	h := api.NewMonitorEvery(c, api.NewMetrics(), time.Hour, time.Minute)
	at := serve(t, h)
	require.Zero(t, c.looks.Load())
	for range 5 {
		openPage(t, at).next(t)
	}
	require.Equal(t, int32(1), c.looks.Load())
}

// TestEventsAreForTheOwnPage: a page of another address gets none, and cannot take the places of the own page.
func TestEventsAreForTheOwnPage(t *testing.T) {
	h := monitorOf(&changing{shown: pagetest.States()[0]})
	at := serve(t, h)
	for _, header := range []string{
		"Host: localhost\r\nOrigin: http://evil.example", "Host: evil.example", "Host: localhost\r\nOrigin: null",
		"Host: localhost\r\nSec-Fetch-Site: cross-site", "Host: localhost\r\nSec-Fetch-Site: same-site",
		"Host: localhost\r\nSec-Fetch-Site: none",
	} {
		_, got := askEvents(t, at, header)
		require.Equal(t, http.StatusForbidden, got.StatusCode, header)
	}
	require.Zero(t, api.Listeners(h))
}
