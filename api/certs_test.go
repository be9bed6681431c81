package api_test

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs"
	"highwater/internal/certs/certstest"
)

// authority is a certificate authority with a server, a client, and a client of another authority.
type authority struct {
	caFile, certFile, keyFile string
	pool                      *x509.CertPool
	client, stranger          tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	dir, end := t.TempDir(), time.Now().Add(time.Hour)
	ca := certstest.New(t, "authority")
	a := authority{
		caFile: filepath.Join(dir, "ca.pem"), certFile: filepath.Join(dir, "cert.pem"),
		keyFile: filepath.Join(dir, "key.pem"),
		pool:    ca.Pool(), client: ca.Issue("baker", end), stranger: certstest.New(t, "authority").Issue("baker", end),
	}
	certstest.Put(t, a.caFile, certstest.CertPEM(ca.Cert))
	certstest.PutPair(t, dir, ca.Issue("signer", end))
	return a
}

// config is that of a listener with the authority's server certificate.
func (a authority) config(t *testing.T, clientCA string) *tls.Config {
	t.Helper()
	f, err := certs.Open(certs.Names{CertSetting: "server.tls_cert", Cert: a.certFile, Key: a.keyFile, CA: clientCA},
		slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	return f.Server()
}
