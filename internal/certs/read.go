package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"highwater/internal/durable"
	"highwater/internal/words"
)

// maxSize bounds a file of certificates, in bytes.
const maxSize = 1 << 20

// ReadPair reads a certificate and its key (PEM). The two must belong together.
func ReadPair(cert, key string) (tls.Certificate, error) {
	chain, err := durable.Read(cert, maxSize, "a certificate")
	if err != nil {
		return tls.Certificate{}, err
	}
	secret, err := durable.Read(key, maxSize, "a key")
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(chain, secret)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s with %s: %w", cert, key, err)
	}
	return pair, nil
}

// ReadAuthorities reads the certificates of a file (PEM): one at least.
func ReadAuthorities(path string) (out []*x509.Certificate, err error) {
	text, err := durable.Read(path, maxSize, "a file of certificates")
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: no certificate in the file", path)
	}
	return out, nil
}

// pair keeps a certificate with its key.
func pair(setting, cert, key string) *kept[tls.Certificate] {
	return &kept[tls.Certificate]{
		setting: setting, files: []string{cert, key}, better: betterPair,
		read: func() (tls.Certificate, error) { return ReadPair(cert, key) },
	}
}

// betterPair refuses a certificate with wrong dates, as long as the dates of the certificate in use are right.
func betterPair(have, next tls.Certificate, now time.Time) error {
	if wrong := wrongDate(next.Leaf, now); wrong != "" && wrongDate(have.Leaf, now) == "" {
		return errors.New("the new certificate " + wrong)
	}
	return nil
}

// wrongDate names the wrong date of a certificate; empty: no date is wrong at the time.
func wrongDate(c *x509.Certificate, now time.Time) string {
	switch {
	case now.After(c.NotAfter):
		return "ended at " + words.Time(c.NotAfter)
	case now.Before(c.NotBefore):
		return "begins at " + words.Time(c.NotBefore)
	}
	return ""
}

// authorities are the certificates of a file, ready to verify with.
type authorities struct {
	certificates []*x509.Certificate
	pool         *x509.CertPool
}

// authority keeps a file of authorities.
func authority(setting, path string) *kept[authorities] {
	return &kept[authorities]{
		setting: setting, files: []string{path},
		better: func(authorities, authorities, time.Time) error { return nil },
		read: func() (authorities, error) {
			list, err := ReadAuthorities(path)
			out := authorities{list, x509.NewCertPool()}
			for _, c := range list {
				out.pool.AddCert(c)
			}
			return out, err
		},
	}
}
