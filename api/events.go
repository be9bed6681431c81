package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"highwater/operate"
)

// Bounds of the streams of the page.
const (
	maxListeners = 16
	listenEvery  = time.Second
	aliveEvery   = 5 * time.Second
	eventWithin  = 5 * time.Second // a reader that takes an event later is dropped
	// A page of many keys takes a while to make. The next page is made after so many times that while: all open pages
	// together take a hundredth of a processor.
	restAfterLook = 100
)

// live tells open pages of their changed parts (server-sent events). While no page is open, nothing is read.
type live struct {
	of        operate.Monitor
	every     time.Duration
	within    time.Duration
	rest      int
	listeners atomic.Int32
	ended     chan struct{}
	end       sync.Once

	mu     sync.Mutex
	latest *shot
	until  time.Time // latest is fresh enough
	html   bytes.Buffer
}

// shot is the page at one moment.
type shot struct {
	title, icon string
	parts       []json.RawMessage // each a text, in the order of partNames
}

// event is what an open page is told; what is as before is left out.
type event struct {
	Build string `json:"build"`
	Now   int64  `json:"now"` // unix, milliseconds
	Title string `json:"title,omitempty"`
	Icon  string `json:"icon,omitempty"`
	// Parts are the changed parts by name. They are large, and many pages are told of the same: write adds them.
	parts []changed
}

// changed is a part of the page, its text as JSON.
type changed struct {
	name string
	text json.RawMessage
}

func newLive(of operate.Monitor) *live {
	return &live{of: of, every: listenEvery, within: eventWithin, rest: restAfterLook, ended: make(chan struct{})}
}

// Stop ends all streams, later ones too.
func (l *live) Stop() { l.end.Do(func() { close(l.ended) }) }

func (l *live) serve(w http.ResponseWriter, r *http.Request) {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		writeJSON(w, http.StatusForbidden, adminError{Text: "a page of another address asks for the events"})
		return
	}
	defer l.listeners.Add(-1)
	if l.listeners.Add(1) > maxListeners {
		w.Header().Set("Retry-After", "5")
		writeJSON(w, http.StatusServiceUnavailable, adminError{
			Text: fmt.Sprintf("%d pages are open already", maxListeners), Hint: "close one",
		})
		return
	}
	if err := http.NewResponseController(w).SetReadDeadline(noDeadline); err != nil {
		writeJSON(w, http.StatusInternalServerError, adminError{Text: err.Error()})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	l.stream(r.Context(), w)
}

// stream tells one page of changes until the page goes, reads too slowly, or the listener ends.
func (l *live) stream(ctx context.Context, w http.ResponseWriter) {
	tick := time.NewTicker(l.every)
	defer tick.Stop()
	told, spoke := &shot{}, time.Time{}
	for {
		now, err := l.look(ctx)
		if err != nil {
			return // the page says that the connection is lost, and comes back
		}
		e := now.since(told)
		if e.Title != "" || e.Icon != "" || len(e.parts) > 0 || time.Since(spoke) >= aliveEvery {
			if l.send(w, e) != nil {
				return
			}
			told, spoke = now, time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		case <-l.ended:
			return
		}
	}
}

func (l *live) send(w http.ResponseWriter, e event) error {
	out := http.NewResponseController(w)
	if err := out.SetWriteDeadline(time.Now().Add(l.within)); err != nil {
		return err
	}
	if err := e.write(w); err != nil {
		return err
	}
	return out.Flush()
}

// write writes the event as server-sent events have it. The parts are written as they are, without a copy.
func (e event) write(w io.Writer) error {
	head, err := json.Marshal(e)
	if err != nil {
		return err
	}
	out, comma := bufio.NewWriter(w), ""
	_, _ = fmt.Fprintf(out, "event: page\ndata: %s,\"parts\":{", bytes.TrimSuffix(head, []byte("}")))
	for _, p := range e.parts {
		_, _ = fmt.Fprintf(out, "%s%q:%s", comma, p.name, p.text) // the name is a word
		comma = ","
	}
	_, _ = out.WriteString("}}\n\n")
	return out.Flush() // the first error of all
}

// look gives the page of now. Several listeners share a look.
func (l *live) look(ctx context.Context) (*shot, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	begin := time.Now()
	if l.latest != nil && begin.Before(l.until) {
		return l.latest, nil
	}
	v, err := viewPage(ctx, l.of)
	if err != nil {
		return nil, err
	}
	v.Live = true
	s := &shot{title: v.Title(), icon: string(v.Icon())}
	for _, name := range partNames {
		part, err := l.part(name, v)
		if err != nil {
			return nil, err
		}
		s.parts = append(s.parts, part)
	}
	end := time.Now()
	l.latest, l.until = s, end.Add(max(l.every*9/10, time.Duration(l.rest)*end.Sub(begin)))
	return s, nil
}

// part makes a part of the page, as JSON. The caller holds the lock, and with it the buffer.
func (l *live) part(name string, v pageView) (json.RawMessage, error) {
	l.html.Reset()
	if err := statusPage.ExecuteTemplate(&l.html, name, v); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false) // the script takes the text from JSON; escapes make a page twice as long
	if err := to.Encode(l.html.String()); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// since is the event for a page that shows an earlier shot.
func (s *shot) since(before *shot) event {
	e := event{Build: pageBuild, Now: time.Now().UnixMilli()}
	if s.title != before.title {
		e.Title = s.title
	}
	if s.icon != before.icon {
		e.Icon = s.icon
	}
	for i, text := range s.parts {
		if i >= len(before.parts) || !bytes.Equal(before.parts[i], text) {
			e.parts = append(e.parts, changed{partNames[i], text})
		}
	}
	return e
}
