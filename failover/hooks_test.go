package failover

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
)

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
	h := NewHooks(HooksConfig{Command: "cat >> " + file, Webhook: srv.URL, Instance: hwm.InstanceID{5}})
	stop := runHooks(t, h)
	h.Role(hwm.RoleRecord{Role: hwm.Standby, Epoch: 4, Why: "moved"})
	var e Event
	require.NoError(t, json.Unmarshal([]byte(<-bodies), &e))
	require.Equal(t, "role standby 4 moved", strings.Join([]string{e.Event, e.Role, "4", e.Text}, " "))
	require.Equal(t, uint64(4), e.Epoch)
	h.Alarm("look")
	stop() // what waits is told yet
	require.Contains(t, <-bodies, `"text":"look"`)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Contains(t, string(text), `"event":"alarm"`)
}

// TestHooksNeverBlock: a command that hangs, and more events than may wait.
func TestHooksNeverBlock(t *testing.T) {
	h := NewHooks(HooksConfig{Command: "sleep 60", Timeout: 50 * time.Millisecond})
	stop := runHooks(t, h)
	start := time.Now()
	for range 10 * maxEvents {
		h.Alarm("again")
	}
	require.Less(t, time.Since(start), 5*time.Second)
	stop()
	require.Less(t, time.Since(start), 30*time.Second)
}
