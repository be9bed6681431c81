package daemon_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs/certstest"
	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/daemon/daemontest"
	"highwater/store"
)

// get asks through a transport.
func get(t *testing.T, url string, transport *http.Transport) (status int, body string, err error) {
	t.Helper()
	c := &http.Client{Transport: transport}
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), errors.Join(err, resp.Body.Close())
}

func require200(t *testing.T, url, body string, transport *http.Transport) {
	t.Helper()
	status, got, err := get(t, url, transport)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, body, got)
}

// TestSystemdIsTold: when the listeners are there, not before; and that the process works, where the unit has a
// watchdog.
func TestSystemdIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer func() { require.NoError(t, manager.Close()) }()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "40000")
	d := daemontest.Run(t, daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\n")
	require.NoError(t, manager.SetReadDeadline(time.Now().Add(daemontest.Patience)))
	b := make([]byte, 100)
	n, err := manager.Read(b)
	require.NoError(t, err)
	told := map[string]bool{string(b[:n]): true}
	for !told["READY=1"] || !told["WATCHDOG=1"] {
		n, err = manager.Read(b)
		require.NoError(t, err)
		told[string(b[:n])] = true
	}
	require200(t, "http://"+d.Addresses["octez"]+"/authorized_keys", "{}", &http.Transport{})
}

func TestServeOnAUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "signer.sock")
	daemontest.Run(t, daemontest.Minimal+"[server]\nlisten = \"unix:"+socket+"\"\n")
	info, err := os.Stat(socket)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o660), info.Mode().Perm())
	require200(t, "http://signer/authorized_keys", "{}", &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	})
}

// TestServeTLS: the signer's listener speaks TLS, wants the client's certificate when an authority is set, and the
// monitor does not.
func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	cert, pool := selfSigned(t, dir)
	d := daemontest.Run(t, daemontest.Minimal+"[monitor]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = "+
		"\"127.0.0.1:0\"\ntls_cert = \""+dir+
		"/cert.pem\"\ntls_key = \""+dir+"/key.pem\"\nclient_ca = \""+dir+"/cert.pem\"\n")
	url := "https://" + d.Addresses["octez"] + "/authorized_keys"
	require200(t, url, "{}", &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}},
	})
	_, _, err := get(t, url, &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}})
	require.ErrorContains(t, err, "certificate required")
	require200(t, "http://"+d.Addresses["monitor"]+"/healthz", `{"status":"alive"}`, &http.Transport{})
}

// TestCertificatesLive: a renewed certificate is shown, a broken one is not, and status and metrics tell of both.
func TestCertificatesLive(t *testing.T) {
	dir, ca := t.TempDir(), certstest.New(t, "authority")
	renew := func() tls.Certificate {
		c := ca.Issue("signer", time.Now().Add(time.Hour))
		certstest.PutPair(t, dir, c)
		return c
	}
	renew()
	d := daemontest.Run(t, daemontest.Minimal+"[monitor]\nlisten = \"127.0.0.1:0\"\n[server]\nlisten = "+
		"\"127.0.0.1:0\"\ntls_cert = \""+dir+
		"/cert.pem\"\ntls_key = \""+dir+"/key.pem\"\n")
	shown := func() *big.Int {
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: ca.Pool(), ServerName: "signer"}}).DialContext(
			t.Context(), "tcp", d.Addresses["octez"])
		require.NoError(t, err)
		defer conn.Close()
		return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber
	}
	monitor := func(path string) string {
		_, body, err := get(t, "http://"+d.Addresses["monitor"]+path, &http.Transport{})
		require.NoError(t, err)
		return body
	}
	next := renew()
	require.Eventually(t, func() bool { return next.Leaf.SerialNumber.Cmp(shown()) == 0 }, 20*time.Second, 10*time.Millisecond,
		"a look between the two new files meets a key of another certificate, and the next look comes later")
	require.Contains(t, monitor("/metrics"),
		`highwater_certificate_fault{setting="server.tls_cert",subject="CN=signer"} 0`)
	require.Contains(t, monitor("/status"), `"ends":"`+next.Leaf.NotAfter.UTC().Format(time.RFC3339)+`"`)
	require.Contains(t, monitor("/status"), "ends soon")

	require.NoError(t, os.Remove(filepath.Join(dir, "key.pem")))
	d.ReadAgain()
	require.Equal(t, next.Leaf.SerialNumber, shown())
	require.Contains(t, monitor("/metrics"),
		`highwater_certificate_fault{setting="server.tls_cert",subject="CN=signer"} 1`)
	require.Contains(t, monitor("/"), "stays in use, as the new files are not good")
	last := renew()
	d.ReadAgain() // a fault is looked into once a second only
	require.Equal(t, last.Leaf.SerialNumber, shown())
	require.Contains(t, monitor("/metrics"),
		`highwater_certificate_fault{setting="server.tls_cert",subject="CN=signer"} 0`)
}

// TestBadTLSFiles are said at start, and leave nothing behind that listens or locks.
func TestBadTLSFiles(t *testing.T) {
	for range 2 {
		cfg, err := config.Load(daemontest.WriteConfig(
			t, "state_dir = \"state\"\n"+daemontest.Minimal+"[server]\nlisten = \"127.0.0.1:0\"\ntls_cert = "+
				"\"a\"\ntls_key = \"b\"\n"))
		require.NoError(t, err)
		require.NoError(t, store.Create(t.Context(), cfg.StateDir, time.Now()))
		_, err = daemon.New(t.Context(), cfg, slog.New(slog.DiscardHandler), "test")
		require.ErrorContains(t, err, "server.tls_cert: ")
		require.NoFileExists(t, cfg.Admin.Socket)
		db, err := store.Open(t.Context(), cfg.StateDir, store.Options{})
		require.NoError(t, err)
		require.NoError(t, db.Close())
	}
}

// selfSigned writes cert.pem and key.pem of a certificate that is its own authority.
func selfSigned(t *testing.T, dir string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cert.pem"), certPEM, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "key.pem"), keyPEM, 0o600))
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(certPEM))
	return pair, pool
}
