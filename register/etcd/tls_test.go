package etcd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// certificate writes a certificate with its key.
func certificate(t *testing.T, dir string, end time.Time) *TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: end.Add(-time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	out := &TLS{CA: filepath.Join(dir, "cert"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	require.NoError(t, os.WriteFile(out.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(out.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return out
}

func TestACertificateThatEnds(t *testing.T) {
	dir := t.TempDir()
	c := certificate(t, dir, time.Now().Add(-time.Minute))
	require.NoError(t, c.open())
	_, err := c.certificate()
	require.ErrorContains(t, err, "ended on")
	require.ErrorContains(t, err, c.Cert)

	certificate(t, dir, time.Now().Add(time.Hour)) // put in its place
	_, err = c.certificate()
	require.NoError(t, err)
}
