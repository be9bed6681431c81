package api

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"highwater/internal/history"
	"highwater/operate"
)

// NewMonitor gives the handler of the monitor listener. The handler reads, and changes nothing.
func NewMonitor(a operate.Monitor, m *Metrics) http.Handler {
	r := chi.NewRouter()
	probe := func(path string, h http.HandlerFunc) { // some probes send HEAD
		r.Get(path, h)
		r.Head(path, h)
	}
	probe("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "alive"})
	})
	probe("/readyz", func(w http.ResponseWriter, req *http.Request) { readyz(w, req, a) })
	r.Get("/status", read(a.Status))
	r.Get("/history", read(allSeries(a)))
	r.Get("/metrics", promhttp.HandlerFor(m.Registry, promhttp.HandlerOpts{DisableCompression: true}).ServeHTTP)
	r.Get("/", func(w http.ResponseWriter, req *http.Request) { page(w, req, a) })
	r.Get("/live.js", script)
	events := newLive(a)
	r.Get("/events", events.serve)
	guarded := fromOutside(r, func(w http.ResponseWriter, _ *http.Request, status int, text, hint string) {
		writeJSON(w, status, adminError{Text: text, Hint: hint})
	})
	return monitor{guarded, events}
}

// allSeries reads the whole history.
func allSeries(a operate.Monitor) func(context.Context) ([]history.Series, error) {
	return func(ctx context.Context) ([]history.Series, error) {
		all, _, err := a.History(ctx, 0)
		return all, err
	}
}

// monitor is the handler with the streams of its pages.
type monitor struct {
	http.Handler
	*live
}

// readyz tells whether a request could be signed now, with the reasons against. Alarms and notes are shown, and are no
// reasons: each alarm has a harmless explanation, and a service manager taking the signer down for an alarm would cost
// blocks.
func readyz(w http.ResponseWriter, r *http.Request, a operate.Monitor) {
	st, err := a.Status(r.Context())
	if err != nil {
		writeJSON(w, http.StatusServiceUnavailable,
			map[string]any{"ready": false, "reasons": []string{"store: " + err.Error()}})
		return
	}
	status, reasons := http.StatusOK, []string{}
	if !st.Ready {
		status, reasons = http.StatusServiceUnavailable, st.NotReady
	}
	writeJSON(w, status, map[string]any{
		"ready": st.Ready, "reasons": reasons, "alarms": st.Alarms, "notes": st.AllNotes(),
		"warnings": st.Warnings,
		"guard":    map[string]string{"state": st.Guard.State, "why": st.Guard.Why},
	})
}
