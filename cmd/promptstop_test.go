package cmd

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/store"
)

// TestStopWhileADelegationIsShown: the request is answered and the daemon ends at once, whoever does not answer the prompt.
func TestStopWhileADelegationIsShown(t *testing.T) {
	sim, err := ledgersim.New(ledgersim.Options{Seed: "a seed of the tests", Setup: []ledgersim.Setup{{Curve: ledger.Ed25519}}})
	require.NoError(t, err)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	emulator, unplug := context.WithCancel(t.Context())
	var served sync.WaitGroup
	served.Go(func() { _ = ledgersim.ServeTCP(emulator, l, sim) })
	defer func() { unplug(); served.Wait() }()
	key, err := sim.PublicKey(ledger.Ed25519, ledger.DefaultPath)
	require.NoError(t, err)

	cfg, err := loadConfig(writeConfig(t, strings.Join([]string{
		`state_dir = "state"`, `chain = "NetXnHfVqm9iesp"`, `[server]`, `listen = "127.0.0.1:0"`,
		`[[device]]`, `name = "left"`, `kind = "ledger"`, `transport = "tcp://` + l.Addr().String() + `"`,
		`[[key]]`, `pkh = "` + key.Hash().String() + `"`, `allow = ["attestation", "delegation"]`,
	}, "\n")))
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	d, err := newDaemon(t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- d.run(ctx) }()
	require.Eventually(t, func() bool { return d.devices[0].Status().Health == device.Ready }, scriptPatience, time.Millisecond)

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
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.addresses["octez"]+"/keys/"+key.Hash().String(), body)
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
	stop()
	begin := time.Now()
	require.NoError(t, <-ended)
	require.Less(t, time.Since(begin), 8*time.Second, "the time that the listeners give to requests under way is 10 s")
	a := <-answers
	require.GreaterOrEqual(t, a.status, 400, a.body)
	require.Contains(t, a.body, "the prompt is still on the device's screen")
}
