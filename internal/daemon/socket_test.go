package daemon_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api/socket/client"
	"highwater/api/socket/message"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/daemon/daemontest"
	"highwater/internal/logtest"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/store"
)

// runLogged is daemontest.Run, active from level 1000 on with the keys of its devices, and with a log.
func runLogged(t *testing.T, text string) (*daemon.Daemon, *logtest.Log) {
	t.Helper()
	said := &logtest.Log{}
	cfg, err := config.Load(daemontest.WriteConfig(t, "state_dir = \"state\"\n"+text))
	require.NoError(t, err)
	require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
	d, err := daemon.New(t.Context(), cfg, slog.New(slog.NewTextHandler(said, nil)), "test")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-ended) })
	d.Settle(t.Context(), daemontest.Patience)
	require.Eventually(t, func() bool { return len(d.Signer.Keys()) > 0 }, daemontest.Patience, time.Millisecond)
	level := int32(1000)
	_, err = d.Admin.Activate(t.Context(), operate.ActivateRequest{Level: &level, Why: "test"})
	require.NoError(t, err)
	return d, said
}

// attestationAt is an attestation of the chain of a daemon; the hashes are of no block.
func attestationAt(d *daemon.Daemon, pkh tezos.PublicKeyHash, level byte) []byte {
	b := append([]byte{0x13}, d.Config.ChainID[:]...)
	b = append(b, make([]byte, 32)...)
	if pkh.Curve == tezos.BLS12381 {
		b = append(b, 0x29)
	} else {
		b = append(b, 0x15, 0, 0)
	}
	return append(append(b, 0, 0, 0x10, level, 0, 0, 0, 0), make([]byte, 32)...)
}

// TestServeTheSocketProtocol: a whole daemon signs over both transports with one rule, one line and one count; and each
// listener tells clients of the other protocol where to go.
func TestServeTheSocketProtocol(t *testing.T) {
	path := filepath.Join(t.TempDir(), "octez.sock")
	d, said := runLogged(t, daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\n[socket]\nlisten = "+
		"\"unix:"+path+"\"\n")
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	c, err := client.Dial(t.Context(), "unix:"+path)
	require.NoError(t, err)
	defer c.Close()
	for _, k := range d.Signer.Keys() {
		payload := attestationAt(d, k.PKH, 1)
		sig, signErr := c.Sign(k.PublicKey, payload, nil)
		require.NoError(t, signErr)
		require.NoError(t, k.PublicKey.Verify(payload, sig))
		again, signErr := c.Sign(k.PublicKey, payload, nil)
		require.NoError(t, signErr)
		require.True(t, sig.Equal(again), "the same bytes again")
		payload[len(payload)-1]++
		_, err = c.Sign(k.PublicKey, payload, nil)
		var refused *message.RefusedError
		require.ErrorAs(t, err, &refused)
		require.Contains(t, refused.Text, "a second signature would be a double signature")
		line := "pkh=" + k.PKH.String() + " kind=attestation level=4097 round=0 decision="
		require.Eventually(t, func() bool { return len(said.Lines(line)) == 3 }, daemontest.Patience, time.Millisecond)
		require.Contains(t, said.Lines(line)[0], "request_id=")
	}
	binary, err := client.Dial(t.Context(), d.Addresses["octez"])
	require.NoError(t, err)
	_, err = binary.Ask(message.Request{Kind: message.AuthorizedKeys})
	require.ErrorContains(t, err, "the locator here is http://"+d.Addresses["octez"]+"/tz1…, and for the socket "+
		"protocol unix:"+path+"?pkh=tz1…")
	_, err = io.ReadAll(binary)
	require.NoError(t, err)
	require.NoError(t, binary.Close())
	web := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	status, body, err := get(t, "http://signer/authorized_keys", web)
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "for HTTP http://"+d.Addresses["octez"]+"/tz1…")
	require.Len(t, said.Lines("client turned away"), 2)
	require.Len(t, said.Lines("cause=wrong_protocol"), 2)
}

// TestTheWrongDoorOfTLS: clients without TLS at the address for TLS, of both protocols, and a client with TLS
// elsewhere.
func TestTheWrongDoorOfTLS(t *testing.T) {
	dir := t.TempDir()
	selfSigned(t, dir)
	d, said := runLogged(t, daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\ntls_cert = "+
		"\""+dir+"/cert.pem\"\ntls_key = \""+dir+"/key.pem\"\n")
	status, body, err := get(t, "http://"+d.Addresses["octez"]+"/authorized_keys", &http.Transport{})
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "the locator is https://"+d.Addresses["octez"]+"/tz1…")
	binary, err := client.Dial(t.Context(), d.Addresses["octez"])
	require.NoError(t, err)
	_, err = binary.Ask(message.Request{Kind: message.AuthorizedKeys})
	require.ErrorContains(t, err, "the locator here is https://")
	require.NoError(t, binary.Close())
	require.Len(t, said.Lines("cause=wrong_protocol"), 1, "of one client, one line in a minute")
}
