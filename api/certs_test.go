package api_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs"
)

// authority is a certificate authority with a server, a client, and a client of another authority.
type authority struct {
	caFile, certFile, keyFile string
	pool                      *x509.CertPool
	client, stranger          tls.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	dir := t.TempDir()
	ca, other := selfSigned(t), selfSigned(t)
	server := issue(t, ca, "signer", x509.ExtKeyUsageServerAuth)
	a := authority{
		caFile: filepath.Join(dir, "ca.pem"), certFile: filepath.Join(dir, "cert.pem"),
		keyFile: filepath.Join(dir, "key.pem"),
		pool:    x509.NewCertPool(), client: issue(t, ca, "baker", x509.ExtKeyUsageClientAuth),
		stranger: issue(t, other, "baker", x509.ExtKeyUsageClientAuth),
	}
	a.pool.AddCert(ca.Leaf)
	key, err := x509.MarshalPKCS8PrivateKey(server.PrivateKey)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{
		a.caFile:   {Type: "CERTIFICATE", Bytes: ca.Certificate[0]},
		a.certFile: {Type: "CERTIFICATE", Bytes: server.Certificate[0]},
		a.keyFile:  {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	}
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

func template(name string) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	c := template("authority")
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	return create(t, c, nil)
}

func issue(t *testing.T, by tls.Certificate, name string, usage x509.ExtKeyUsage) tls.Certificate {
	t.Helper()
	c := template(name)
	c.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	return create(t, c, &by)
}

func create(t *testing.T, c *x509.Certificate, by *tls.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	parent, signer := c, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}
