package hooks

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/hwm"
	"highwater/internal/early"
	"highwater/signer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func runHooks(t *testing.T, h *Hooks) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	return func() { cancel(); <-done }
}

func TestHooksTell(t *testing.T) {
	bodies := make(chan string, 4)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err == nil {
			bodies <- string(b)
		}
	}))
	defer srv.Close()
	file := filepath.Join(t.TempDir(), "told")
	h := New(Config{Command: "cat >> " + file, Webhook: srv.URL, Instance: hwm.InstanceID{5}})
	stop := runHooks(t, h)
	h.Role(hwm.RoleRecord{Role: hwm.Standby, Epoch: 4, Why: "moved"})
	var e Event
	require.NoError(t, json.Unmarshal([]byte(<-bodies), &e))
	require.Equal(t, "role standby 4 moved", strings.Join([]string{e.Event, e.Role, "4", e.Text}, " "))
	require.Equal(t, uint64(4), e.Epoch)
	h.Alarm(hwm.Alarm{Text: "look"})
	stop() // what waits is told yet
	require.Contains(t, <-bodies, `"text":"look"`)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), `"event":"alarm"`)
}

// TestAWarningIsToldTwice: when it begins, and when it is over.
func TestAWarningIsToldTwice(t *testing.T) {
	h := New(Config{Command: "true"})
	w := early.Warning{Name: early.Reconnects, Of: "left", Text: "again", Hint: "look"}
	h.Warning(w, false)
	h.Warning(w, true)
	for _, want := range []Event{
		{Event: "warning", Warning: "reconnects", Of: "left", Text: "again", Hint: "look"},
		{Event: "warning_over", Warning: "reconnects", Of: "left", Text: "again"},
	} {
		got := <-h.events
		got.At = want.At
		require.Equal(t, want, got)
	}
}

// TestHooksNeverBlock: a command that hangs, and more events than may wait.
func TestHooksNeverBlock(t *testing.T) {
	h := New(Config{Command: "sleep 60", Timeout: 50 * time.Millisecond})
	stop := runHooks(t, h)
	start := time.Now()
	for range 10 * maxEvents {
		h.Alarm(hwm.Alarm{Text: "again"})
	}
	require.Less(t, time.Since(start), 5*time.Second)
	stop()
	require.Less(t, time.Since(start), 30*time.Second)
}

// TestAHangingHookKeepsNothing: the webhook is told, the shell's children end with the shell, and a stop waits for one
// time-out.
func TestAHangingHookKeepsNothing(t *testing.T) {
	told := make(chan struct{}, 2)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or nobody notices that the client goes
		told <- struct{}{}
		<-r.Context().Done()
	}))
	defer srv.Close()
	fifo := filepath.Join(t.TempDir(), "held")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	const timeout = 2 * time.Second
	h := New(Config{Command: "exec 3> " + fifo + "; sleep 60 & wait", Webhook: srv.URL, Timeout: timeout})
	stop := runHooks(t, h)
	defer stop()
	start := time.Now()
	h.Alarm(hwm.Alarm{Text: "first"})
	held, err := os.Open(fifo) // when the command has begun
	require.NoError(t, err)
	defer held.Close()
	require.NoError(t, held.SetReadDeadline(start.Add(timeout+10*time.Second)))
	_, err = io.ReadAll(held)
	require.NoError(t, err, "nobody holds it any more")
	<-told
	h.Alarm(hwm.Alarm{Text: "second"}) // it waits for the first one
	start = time.Now()
	stop()
	require.Less(t, time.Since(start), 2*timeout)
}

// TestDocsShowTheEvents: each example of docs/configuration.md is what a hook is told, field by field and in this
// order.
func TestDocsShowTheEvents(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	var documented []string
	for _, part := range strings.Split(string(page), "```json\n")[1:] {
		text, _, ok := strings.Cut(part, "\n```")
		require.True(t, ok)
		documented = append(documented, text)
	}
	require.Len(t, documented, 3, "a role, an alarm and a warning")
	h := New(Config{Command: "true", Instance: hwm.InstanceID{5}})
	for i, tell := range []func(Event){
		func(e Event) { h.Role(hwm.RoleRecord{Role: hwm.Active, Epoch: e.Epoch, Why: e.Text}) },
		func(e Event) { h.Alarm(hwm.Alarm{Name: e.Alarm, Text: e.Text, Hint: e.Hint}) },
		func(e Event) {
			h.Warning(early.Warning{Name: early.Name(e.Warning), Of: e.Of, Text: e.Text, Hint: e.Hint}, false)
		},
	} {
		var want Event
		require.NoError(t, json.Unmarshal([]byte(documented[i]), &want))
		require.NotEmpty(t, want.Text)
		require.False(t, want.At.IsZero())
		tell(want)
		got := <-h.events
		got.At = want.At
		body, err := json.MarshalIndent(got, "", "  ")
		require.NoError(t, err)
		require.Equal(t, documented[i], string(body))
	}
	for _, name := range signer.AlarmNames {
		require.Contains(t, string(page), "`"+string(name)+"`", "an alarm that the page does not name")
	}
}
