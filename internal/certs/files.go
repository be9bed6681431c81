package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"
)

// Names are the settings and files of one end of a connection. CA may be empty, Cert and Key too, together.
type Names struct {
	CertSetting, CASetting string // "server.tls_cert", "server.client_ca"
	Cert, Key, CA          string // paths, PEM
}

// Files is the content of the files, read again after each change. Files is safe for concurrent use.
type Files struct {
	pair      *kept[tls.Certificate] // nil: none is named
	authority *kept[authorities]     // nil: none is named
}

// Open reads the files. A bad file is an error here; later, the former content is kept.
func Open(names Names, log *slog.Logger) (*Files, error) {
	f := &Files{}
	now := time.Now()
	if names.Cert != "" {
		f.pair = pair(names.CertSetting, names.Cert, names.Key)
		f.pair.log = log
		if err := f.pair.first(now); err != nil {
			return nil, err
		}
	}
	if names.CA != "" {
		f.authority = authority(names.CASetting, names.CA)
		f.authority.log = log
		if err := f.authority.first(now); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Look reads changed files.
func (f *Files) Look() { f.look(false) }

// Again reads the files, changed or not, and tells a fault at once.
func (f *Files) Again() { f.look(true) }

func (f *Files) look(again bool) {
	now := time.Now()
	if f.pair != nil {
		f.pair.look(now, again)
	}
	if f.authority != nil {
		f.authority.look(now, again)
	}
}

// Server is the configuration of a listener. Each handshake is by the files of its moment. Clients must show a
// certificate of the named authority, if any. No connection is resumed, so no session outlives its authority.
func (f *Files) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			now := time.Now()
			cfg := &tls.Config{
				MinVersion: tls.VersionTLS12, SessionTicketsDisabled: true,
				Certificates: []tls.Certificate{f.pair.look(now, false)},
			}
			if f.authority != nil {
				cfg.ClientCAs, cfg.ClientAuth = f.authority.look(now, false).pool, tls.RequireAndVerifyClientCert
			}
			return cfg, nil
		},
	}
}

// Client is the configuration for connections to a host. Each handshake is by the files of its moment: the
// server's certificate is verified for the host, under the named authority, else under the system's.
func (f *Files) Client(host string, certificate func() (*tls.Certificate, error)) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if f.pair != nil {
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate() }
	}
	if f.authority != nil {
		cfg.InsecureSkipVerify = true // VerifyConnection verifies, by the authority of this moment
		cfg.VerifyConnection = func(state tls.ConnectionState) error { return f.verify(host, state) }
	}
	return cfg
}

// verify does what the library does without InsecureSkipVerify.
func (f *Files) verify(host string, state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName: host, Roots: f.authority.look(time.Now(), false).pool, Intermediates: between,
	})
	return err
}

// Certificate is the certificate in use; nil: none is named.
func (f *Files) Certificate() *tls.Certificate {
	if f.pair == nil {
		return nil
	}
	c := f.pair.look(time.Now(), false)
	return &c
}
