package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLS names the files of a client certificate. The files are read anew for each connection: a replaced certificate is
// used without a restart.
type TLS struct {
	CA, Cert, Key string // PEM; Cert and Key may be empty together

	mu  sync.Mutex
	err error // of the last connection: the client library tells of a time-out only
}

// config reads the authority, and tries the certificate once.
func (t *TLS) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", t.CA)
		}
	}
	if t.Cert == "" {
		return cfg, nil
	}
	if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
		return nil, err
	}
	cfg.GetClientCertificate = t.certificate
	return cfg, nil
}

// certificate is the certificate of a connection. A server does not tell of a refusal for the date: the date is checked
// here.
func (t *TLS) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err == nil {
		err = t.current(&c)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	return &c, err
}

func (t *TLS) current(c *tls.Certificate) error {
	if c.Leaf == nil {
		return errors.New(t.Cert + " holds no certificate")
	}
	if end := c.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("the certificate %s ended on %s: put a new one in its place", t.Cert, end.UTC().Format(time.DateTime))
	}
	return nil
}

// trouble is the fault of the certificate at the last connection.
func (t *TLS) trouble() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}
