package daemon

import (
	"context"
	"log/slog"
	"time"

	"highwater/internal/certs"
	"highwater/internal/config"
)

// certificatesEvery is the interval between looks at the files of certificates. Each handshake looks too; the interval
// is for clients that keep their connection.
const certificatesEvery = 10 * time.Second

// openServerCertificates reads the files of the listener for bakers.
func openServerCertificates(cfg *config.Config, log *slog.Logger) (*certs.Files, error) {
	return certs.Open(certs.Names{
		CertSetting: "server.tls_cert", Cert: cfg.Server.TLSCert, Key: cfg.Server.TLSKey,
		CASetting: "server.client_ca", CA: cfg.Server.ClientCA,
	}, log)
}

// ReadAgain reads the files of all certificates, and nothing else.
func (d *Daemon) ReadAgain() {
	for _, f := range d.certificates {
		f.Again()
	}
}

// watchCertificates looks at the files of certificates until ctx ends.
func (d *Daemon) watchCertificates(ctx context.Context) {
	if len(d.certificates) == 0 {
		return
	}
	tick := time.NewTicker(certificatesEvery)
	defer tick.Stop()
	for {
		for _, f := range d.certificates {
			f.Look()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// certificateRows are the certificates in use.
func (d *Daemon) certificateRows() (out []certs.Row) {
	for _, f := range d.certificates {
		out = append(out, f.Rows()...)
	}
	return out
}
