package cmd

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/daemon/daemontest"
	"highwater/internal/device"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/store"
)

// ledgerWorld is a daemon with an emulated Ledger behind a socket, which the test has in its hands.
type ledgerWorld struct {
	sim    *ledgersim.Device
	daemon *daemon.Daemon
	config string
	stop   func() error // the daemon, and waits for it
}

func newLedgerWorld(t *testing.T, setup ledgersim.Setup, more ...string) *ledgerWorld {
	t.Helper()
	sim, err := ledgersim.New(ledgersim.Options{Seed: "a seed of the tests", Setup: []ledgersim.Setup{setup}})
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	emulator, unplug := context.WithCancel(context.Background())
	var served sync.WaitGroup
	served.Go(func() { _ = ledgersim.ServeTCP(emulator, l, sim) })
	t.Cleanup(func() { unplug(); served.Wait() })

	w := &ledgerWorld{sim: sim}
	w.config = daemontest.WriteConfig(t, strings.Join(append([]string{
		`state_dir = "state"`, `chain = "NetXnHfVqm9iesp"`, `[server]`, `listen = "127.0.0.1:0"`, `[monitor]`,
		`listen = "127.0.0.1:0"`,
		`[[device]]`, `name = "left"`, `kind = "ledger"`, `transport = "tcp://` + l.Addr().String() + `"`,
	}, more...), "\n"))
	cfg, err := config.Load(w.config)
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	w.daemon, err = daemon.New(t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.daemon.Run(ctx) }()
	w.stop = sync.OnceValue(func() error { stop(); return <-ended })
	t.Cleanup(func() { require.NoError(t, w.stop()) })
	return w
}

func (w *ledgerWorld) until(t *testing.T, want device.Health) {
	t.Helper()
	require.Eventually(t, func() bool { return w.daemon.Devices[0].Status().Health == want }, scriptPatience,
		time.Millisecond)
}

// TestStopWhileADelegationIsShown: the request is answered and the daemon ends at once, whoever does not answer the
// prompt.
func TestStopWhileADelegationIsShown(t *testing.T) {
	ids, err := ledgersim.New(ledgersim.Options{Seed: "a seed of the tests"})
	require.NoError(t, err)
	key, err := ids.PublicKey(ledger.Ed25519, ledger.DefaultPath)
	require.NoError(t, err)
	w := newLedgerWorld(t, ledgersim.Setup{Curve: ledger.Ed25519}, `[[key]]`, `pkh = "`+key.Hash().String()+`"`,
		`allow = ["attestation", "delegation"]`)
	w.until(t, device.Ready)
	sim, d := w.sim, w.daemon

	payload := append([]byte{3}, make([]byte, 32)...)
	payload = append(append(payload, 0x6e), key.Hash().Bytes()...)
	payload = append(append(payload, 1, 1, 1, 0, 0xff), key.Hash().Bytes()...)
	type answer struct {
		status int
		body   string
	}
	answers := make(chan answer, 1)
	go func() {
		body := bytes.NewReader([]byte(`"` + hex.EncodeToString(payload) + `"`))
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"http://"+d.Addresses["octez"]+"/keys/"+key.Hash().String(), body)
		if err != nil {
			answers <- answer{body: err.Error()}
			return
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			answers <- answer{body: err.Error()}
			return
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		answers <- answer{resp.StatusCode, string(b)}
	}()
	require.Eventually(t, func() bool { _, shown := sim.Prompt(); return shown }, scriptPatience, time.Millisecond)
	begin := time.Now()
	require.NoError(t, w.stop())
	require.Less(t, time.Since(begin), 8*time.Second, "the time that the listeners give to requests under way is 10 s")
	a := <-answers
	require.GreaterOrEqual(t, a.status, 400, a.body)
	require.Contains(t, a.body, "the prompt is still on the device's screen")
}

// monitorPage gives a page of the monitor.
func monitorPage(t *testing.T, url string) string {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, errors.Join(err, resp.Body.Close()))
	return string(b)
}
