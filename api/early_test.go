package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/api/pagetest"
	"highwater/internal/early"
)

// TestEarlyWarningsAreShown: on the page with the step to take, in /status and /readyz, and in the metrics. The state is
// that of before.
func TestEarlyWarningsAreShown(t *testing.T) {
	s := pagetest.States()[0]
	s.Status.Warnings = []early.Warning{{
		Name: early.Reconnects, Of: "left", Since: time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC),
		Text: "device left was away and came back 3 times within an hour", Hint: "try another cable",
	}}
	metrics, of := api.NewMetrics(), s.Monitor()
	metrics.Collect(of)
	at := serve(t, api.NewMonitor(of, metrics))
	page := ask(t, at, "GET", "/", "").body
	require.Contains(t, page, "<title>"+s.Title+"</title>")
	for _, want := range []string{string(early.Reconnects), "came back 3 times", "try another cable", "2026-11-28 03:00:00Z"} {
		require.Contains(t, page, want)
	}
	for _, path := range []string{"/status", "/readyz"} {
		got := ask(t, at, "GET", path, "")
		require.Equal(t, 200, got.status)
		require.Contains(t, strings.ReplaceAll(got.body, " ", ""), `"warnings":[{"warning":"reconnects","of":"left",`)
	}
	text := ask(t, at, "GET", "/metrics", "").body
	require.Contains(t, text, `highwater_early_warnings{warning="reconnects"} 1`)
	require.Contains(t, text, `highwater_early_warnings{warning="slow_sync"} 0`, "zero from the start")
}
