package daemon_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/baker"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/daemon/daemontest"
	"highwater/internal/hooks"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/signer"
	"highwater/store"
)

// guardedChain is no chain that exists.
var guardedChain = tezos.ChainID{'g', 'u', 'a', 'r'}

// hungHook is a webhook that does not answer before it is let go.
type hungHook struct {
	events chan hooks.Event
	letGo  func()
	url    string
}

func newHungHook(t *testing.T) *hungHook {
	free := make(chan struct{})
	h := &hungHook{events: make(chan hooks.Event, 16), letGo: sync.OnceFunc(func() { close(free) })}
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e hooks.Event
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err == nil {
			h.events <- e
		}
		<-free
	}))
	t.Cleanup(srv.Close)
	t.Cleanup(h.letGo) // before the server waits for its requests
	h.url = srv.URL
	return h
}

// TestAHookThatHangs delays neither a signature nor the fence; it is told of all of it once it answers again.
func TestAHookThatHangs(t *testing.T) {
	hook := newHungHook(t)
	sim := nodesim.New(nodesim.Config{Chain: guardedChain})
	srv := httptest.NewServer(sim)
	t.Cleanup(srv.Close)
	d := daemontest.Run(t, fmt.Sprintf(`node = %q
chain = %q
[server]
listen = "127.0.0.1:0"
[hooks]
webhook = %q
timeout = "1m"
[[device]]
name = "left"
kind = "ledger"
transport = "sim"
`, srv.URL, guardedChain, hook.url))
	t.Cleanup(hook.letGo) // before the daemon's end, which waits for its hook
	d.Settle(t.Context(), 3*time.Second)
	d.Signer.Learn()
	require.Eventually(t, func() bool { return !d.Guard.Status().At.IsZero() }, 10*time.Second, time.Millisecond)
	level := sim.Head().Level - 1
	_, err := d.Admin.Activate(t.Context(), operate.ActivateRequest{Level: &level})
	require.NoError(t, err)
	require.Equal(t, "active", (<-hook.events).Role, "and it hangs there")
	require.Eventually(t, func() bool { return d.Guard.Status().Watching }, 10*time.Second, time.Millisecond,
		"before there is another block")

	key := d.Signer.Keys()[0].PublicKey
	client := baker.New("http://"+d.Addresses["octez"], false)
	defer client.Close()
	payload := func(level int32) []byte {
		return baker.Step{Chain: guardedChain, Kind: tezos.Attestation, Level: level}.Payload(key.Curve())
	}
	sig, err := client.Sign(t.Context(), key, payload(level+1))
	require.NoError(t, err)
	require.NoError(t, sim.Note(key.Hash(), payload(level+1), sig))
	sig, err = twinOf(t).Sign(t.Context(), key, payload(level+2))
	require.NoError(t, err)
	require.NoError(t, sim.Note(key.Hash(), payload(level+2), sig))
	sim.Advance()
	sim.Advance()
	require.Eventually(t, func() bool { return d.Store.Role().Role == hwm.Fenced }, 10*time.Second, time.Millisecond)
	_, err = client.Sign(t.Context(), key, payload(level+3))
	var no *baker.Refusal
	require.ErrorAs(t, err, &no)
	require.Contains(t, no.Text, "is fenced since")
	require.Empty(t, hook.events)

	hook.letGo()
	e := <-hook.events
	require.Equal(t, "fenced", e.Role)
	e = <-hook.events
	require.Equal(t, signer.AlarmTwin, e.Alarm)
	require.Equal(t, d.Signer.Alarms()[0].Text, e.Text)
	require.NotEmpty(t, e.Hint)
}

// twinOf gives a client of another daemon that holds the same key.
func twinOf(t *testing.T) *baker.Client {
	t.Helper()
	d := daemontest.Run(t, fmt.Sprintf(
		"chain = %q\n[server]\nlisten = \"127.0.0.1:0\"\n[[device]]\nname = \"left\"\nkind = \"ledger\"\ntransport = "+
			"\"sim\"\n", guardedChain))
	d.Settle(t.Context(), 3*time.Second)
	d.Signer.Learn()
	level := int32(1)
	_, err := d.Admin.Activate(t.Context(), operate.ActivateRequest{Level: &level})
	require.NoError(t, err)
	client := baker.New("http://"+d.Addresses["octez"], false)
	t.Cleanup(client.Close)
	return client
}

// TestTheLastAlarmIsTold: of what happens while the daemon ends, too.
func TestTheLastAlarmIsTold(t *testing.T) {
	hook := newHungHook(t)
	hook.letGo()
	cfg, err := config.Load(daemontest.WriteConfig(
		t, fmt.Sprintf("state_dir = \"state\"\n%s[hooks]\nwebhook = %q\n", daemontest.Minimal, hook.url)))
	require.NoError(t, err)
	in := openedInstance(t, cfg)
	in.StopNode() // as run does, before the listeners have ended
	in.Signer.RaiseAlarm(signer.AlarmTwin, "chain", "", "the last", "")
	require.NoError(t, in.Close())
	require.Equal(t, "the last", (<-hook.events).Text)
}

// openedInstance is an instance of a new store, which the test closes.
func openedInstance(t *testing.T, cfg *config.Config) *daemon.Instance {
	t.Helper()
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	in, err := daemon.Open(t.Context(), cfg, daemon.Options{Log: slog.New(slog.DiscardHandler), Running: true})
	require.NoError(t, err)
	return in
}
