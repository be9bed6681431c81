package etcd

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"time"

	"highwater/internal/certs"
)

// TLS names the files of a client certificate. The files are read again after each change: a replaced certificate needs
// no restart.
type TLS struct {
	CA, Cert, Key string       // PEM; Cert and Key may be empty together
	Log           *slog.Logger // nil: none

	files *certs.Files
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
	return c, t.current(c)
}

func (t *TLS) current(c *tls.Certificate) error {
	if end := c.Leaf.NotAfter; time.Now().After(end) {
		return fmt.Errorf("the certificate %s ended on %s: put a new certificate in the file", t.Cert,
			end.UTC().Format(time.DateTime))
	}
	return nil
}

// Certificates are the certificates of the connections to the register; nil: no TLS.
func (r *Register) Certificates() *certs.Files {
	if r.tls == nil {
		return nil
	}
	return r.tls.files
}
