package socket_test

import (
	"context"
	"encoding/hex"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/api/socket"
	"highwater/api/socket/client"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// instant is a signer that costs nothing: the transports are measured.
type instant struct {
	*keys
	sig tezos.Signature
}

func (s instant) Sign(context.Context, tezos.PublicKeyHash, []byte) (tezos.Signature, error) {
	return s.sig, nil
}

// benchSigner gives a signer, its key, and a payload of the length of an attestation.
func benchSigner(b *testing.B) (instant, *softkey.Key, []byte) {
	key := soft(b, tezos.Ed25519, "held by the signer")
	payload := append([]byte{0x13}, make([]byte, 79)...)
	return instant{newKeys(b), key.Sign(payload)}, key, payload
}

func listen(b *testing.B, serve func(context.Context, net.Listener) error) (path string) {
	path = filepath.Join(b.TempDir(), "s")
	l, err := api.Listen(b.Context(), api.UnixPrefix+path, 0o600)
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l) }()
	b.Cleanup(func() { cancel(); require.NoError(b, <-ended) })
	return path
}

// BenchmarkKept asks again and again on one kept connection, over the socket protocol and over HTTP.
func BenchmarkKept(b *testing.B) {
	quiet := slog.New(slog.DiscardHandler)
	b.Run("socket", func(b *testing.B) {
		s, key, payload := benchSigner(b)
		answers := api.NewAnswers(api.OctezConfig{Signer: s})
		path := listen(b, func(ctx context.Context, l net.Listener) error { return socket.Serve(ctx, l, answers, quiet) })
		c, err := client.Dial(b.Context(), "unix:"+path)
		require.NoError(b, err)
		q := client.SignRequest(key.PublicKey().Hash(), payload)
		for b.Loop() {
			_, err = c.Ask(q)
			require.NoError(b, err)
		}
		require.NoError(b, c.Close())
	})
	b.Run("http", func(b *testing.B) {
		s, key, payload := benchSigner(b)
		h := api.NewAnswers(api.OctezConfig{Signer: s}).HTTP()
		path := listen(b, func(ctx context.Context, l net.Listener) error { return api.Serve(ctx, l, h, quiet) })
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}}
		c := &http.Client{Transport: transport}
		url, body := "http://signer/keys/"+key.PublicKey().Hash().String()+"?version=3", `"`+hex.EncodeToString(payload)+`"`
		for b.Loop() {
			resp, err := c.Post(url, "application/json", strings.NewReader(body)) //nolint:noctx // the test's own server
			require.NoError(b, err)
			_, err = io.Copy(io.Discard, resp.Body)
			require.NoError(b, err)
			require.NoError(b, resp.Body.Close())
			require.Equal(b, http.StatusOK, resp.StatusCode)
		}
		transport.CloseIdleConnections()
	})
}
