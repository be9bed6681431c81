package certs_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/internal/certs"
	"highwater/internal/certs/certstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers under the files of a directory; clients need a certificate of ca.pem.
func server(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	f, err := certs.Open(certs.Names{
		CertSetting: "server.tls_cert", Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
		CA: filepath.Join(dir, "ca.pem"),
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Listener = tls.NewListener(s.Listener, f.Server())
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// get asks once, over a connection of its own.
func get(t *testing.T, s *httptest.Server, config *tls.Config) error {
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.Listener.Addr().String(), nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return errors.Join(err, resp.Body.Close())
}

// TestRenewedAndBrokenUnderLoad: certificates are renewed and broken while clients connect, and no request fails.
func TestRenewedAndBrokenUnderLoad(t *testing.T) {
	dir, ca := t.TempDir(), certstest.New(t, "authority")
	issue := func() tls.Certificate { return ca.Issue("signer", time.Now().Add(time.Hour)) }
	certstest.PutPair(t, dir, issue())
	certstest.Put(t, filepath.Join(dir, "ca.pem"), certstest.CertPEM(ca.Cert))
	s := server(t, dir)

	config := &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{issue()}}
	var stop atomic.Bool
	var asked, failed atomic.Int64
	var clients sync.WaitGroup
	for range 4 {
		clients.Go(func() {
			for !stop.Load() {
				asked.Add(1)
				if err := get(t, s, config); err != nil {
					failed.Add(1)
					t.Log(err)
				}
			}
		})
	}
	for i := range 20 {
		before := asked.Load()
		switch i % 4 {
		case 1:
			certstest.Put(t, filepath.Join(dir, "cert.pem"), []byte("broken"))
		case 2:
			certstest.Put(t, filepath.Join(dir, "ca.pem"), nil)
		default:
			certstest.PutPair(t, dir, issue())
			certstest.Put(t, filepath.Join(dir, "ca.pem"), certstest.CertPEM(ca.Cert))
		}
		require.Eventually(t, func() bool { return asked.Load() > before+8 }, 20*time.Second, time.Millisecond)
	}
	stop.Store(true)
	clients.Wait()
	require.Zero(t, failed.Load(), "of %d requests", asked.Load())
}

// TestAnAuthorityIsTakenOut: its clients get in no more, not by a session of before either.
func TestAnAuthorityIsTakenOut(t *testing.T) {
	dir, ca, next := t.TempDir(), certstest.New(t, "authority"), certstest.New(t, "next")
	certstest.PutPair(t, dir, ca.Issue("signer", time.Now().Add(time.Hour)))
	certstest.Put(t, filepath.Join(dir, "ca.pem"), certstest.CertPEM(ca.Cert))
	s := server(t, dir)
	client := func(a *certstest.Authority) *tls.Config {
		return &tls.Config{
			RootCAs: ca.Pool(), Certificates: []tls.Certificate{a.Issue("baker", time.Now().Add(time.Hour))},
			ClientSessionCache: tls.NewLRUClientSessionCache(9),
		}
	}
	old, anew := client(ca), client(next)
	require.NoError(t, get(t, s, old))
	require.Error(t, get(t, s, anew))
	certstest.Put(t, filepath.Join(dir, "ca.pem"), certstest.CertPEM(next.Cert))
	require.Error(t, get(t, s, old))
	require.NoError(t, get(t, s, anew))
}

// TestAClientVerifies the host under the authority of the moment.
func TestAClientVerifies(t *testing.T) {
	dir, ca := t.TempDir(), certstest.New(t, "authority")
	certstest.PutPair(t, dir, ca.Issue("signer", time.Now().Add(time.Hour)))
	certstest.Put(t, filepath.Join(dir, "ca.pem"), certstest.CertPEM(ca.Cert))
	s := server(t, dir)
	f, err := certs.Open(certs.Names{
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "ca.pem"),
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	show := func() (*tls.Certificate, error) { return f.Certificate(), nil }
	require.NoError(t, get(t, s, f.Client("127.0.0.1", show)))
	require.NoError(t, get(t, s, f.Client("signer", show)))
	for _, host := range []string{"127.0.0.3", "other"} {
		require.ErrorContains(t, get(t, s, f.Client(host, show)), host,
			"a certificate of the right authority, for another host")
	}
	f, err = certs.Open(certs.Names{
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "mine.pem"),
	},
		slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "mine.pem")
	require.Nil(t, f)
	certstest.Put(t, filepath.Join(dir, "mine.pem"), certstest.CertPEM(certstest.New(t, "stranger").Cert))
	f, err = certs.Open(certs.Names{
		Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"), CA: filepath.Join(dir, "mine.pem"),
	},
		slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.ErrorContains(t, get(t, s, f.Client("127.0.0.1", show)), "unknown authority")
	certstest.Put(t, filepath.Join(dir, "mine.pem"), certstest.CertPEM(ca.Cert))
	require.NoError(t, get(t, s, f.Client("127.0.0.1", show)))
}
