// Package certstest makes certificates for tests.
package certstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/stretchr/testify/require"
)

// T is a test, or a suite outside of go test.
type T interface {
	require.TestingT
	Helper()
}

// Authority issues certificates.
type Authority struct {
	t    T
	Cert tls.Certificate
}

// New makes an authority with a name, for an hour.
func New(t T, name string) *Authority {
	t.Helper()
	return NewUntil(t, name, time.Now().Add(time.Hour))
}

// NewUntil makes an authority that ends at a time.
func NewUntil(t T, name string, end time.Time) *Authority {
	t.Helper()
	c := template(name, end)
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	return &Authority{t, create(t, c, nil)}
}

// Pool has the authority only.
func (a *Authority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.Cert.Leaf)
	return p
}

// Issue makes a certificate for a name, 127.0.0.1, 127.0.0.2 and further addresses, for both ends of a connection.
func (a *Authority) Issue(name string, end time.Time, further ...net.IP) tls.Certificate {
	a.t.Helper()
	c := template(name, end)
	c.IPAddresses = further
	return a.issue(c)
}

// IssueFrom makes a certificate that begins at a time.
func (a *Authority) IssueFrom(name string, begin, end time.Time) tls.Certificate {
	a.t.Helper()
	c := template(name, end)
	c.NotBefore = begin
	return a.issue(c)
}

func (a *Authority) issue(c *x509.Certificate) tls.Certificate {
	a.t.Helper()
	c.IPAddresses = append(c.IPAddresses, net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)) // harness listens at the second
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return create(a.t, c, &a.Cert)
}

// CertPEM is the certificate in the form of a file.
func CertPEM(c tls.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})
}

// KeyPEM is the key in the form of a file.
func KeyPEM(t T, c tls.Certificate) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// Put puts a file in the place of a former file by a rename, as careful programs do.
func Put(t T, path string, text []byte) {
	t.Helper()
	next := path + ".next"
	require.NoError(t, os.WriteFile(next, text, 0o600))
	require.NoError(t, os.Rename(next, path))
}

// PutPair puts cert.pem and key.pem into a directory, first the certificate.
func PutPair(t T, dir string, c tls.Certificate) {
	t.Helper()
	Put(t, filepath.Join(dir, "cert.pem"), CertPEM(c))
	Put(t, filepath.Join(dir, "key.pem"), KeyPEM(t, c))
}

func template(name string, end time.Time) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	begin := time.Now()
	if end.Before(begin) {
		begin = end
	}
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: begin.Add(-2 * time.Hour), NotAfter: end,
	}
}

func create(t T, c *x509.Certificate, by *tls.Certificate) tls.Certificate {
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
