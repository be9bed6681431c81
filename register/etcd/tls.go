package etcd

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"highwater/internal/certs"
)

// TLS names the files of a client certificate. The files are read again after each change: a replaced certificate needs
// no restart.
type TLS struct {
	CA, Cert, Key string       // PEM; Cert and Key may be empty together
	Log           *slog.Logger // nil: none

	files *certs.Files

	mu  sync.Mutex
	err error // of the last connection: the client library tells of a time-out only
}

// open reads the files for the first time.
func (t *TLS) open() (err error) {
	log := t.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t.files, err = certs.Open(certs.Names{
		CertSetting: "register.cert", Cert: t.Cert, Key: t.Key,
		CASetting: "register.ca", CA: t.CA,
	}, log)
	return err
}

// config is for connections to a host.
func (t *TLS) config(host string) *tls.Config { return t.files.Client(host, t.certificate) }

// certificate is the certificate of a connection. A server does not tell of a refusal for the date: the date is checked
// here.
func (t *TLS) certificate() (*tls.Certificate, error) {
	c := t.files.Certificate()
	err := t.current(c)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	return c, err
}

func (t *TLS) current(c *tls.Certificate) error {
	if end := c.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("the certificate %s ended on %s: put a new certificate in the file", t.Cert,
			end.UTC().Format(time.DateTime))
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

// Certificates are the certificates of the connections to the register; nil: no TLS.
func (r *Register) Certificates() *certs.Files {
	if r.tls == nil {
		return nil
	}
	return r.tls.files
}
