package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority issues the certificates of the register's servers and clients.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// authorityName is the authority's own name, and the name of its certificate's file.
const authorityName = "ca"

// newAuthority makes an authority in a directory.
func newAuthority(dir string) (*authority, error) {
	a := &authority{dir: dir}
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = a.issue(authorityName, time.Now().AddDate(1, 0, 0))
	}
	return a, err
}

// file is the path of a certificate's file.
func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// private is the path of a private key's file.
func (a *authority) private(name string) string { return filepath.Join(a.dir, name+"-key.pem") }

// issue writes a certificate with an end, in the place of a former one. The name is the user's name in etcd.
func (a *authority) issue(name string, end time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return err
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2)}, // harness listens at the second
		NotBefore:   time.Now().AddDate(0, 0, -2), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage, c.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		return err
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return err
		}
		a.key = key
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	return errors.Join(err, put(a.private(name), "PRIVATE KEY", private), put(a.file(name), "CERTIFICATE", der))
}

func put(path, kind string, der []byte) error {
	next := path + ".next"
	if err := os.WriteFile(next, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		return err
	}
	return os.Rename(next, path)
}
