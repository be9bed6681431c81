package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"highwater/internal/certs/certstest"
)

// authority issues the certificates of the register's servers and clients into a directory.
type authority struct {
	dir string
	ca  *certstest.Authority
	// further are the addresses of servers outside of the loopback.
	further []net.IP
}

// authorityName is the authority's own name, and the name of its certificate's file.
const authorityName = "ca"

// newAuthority makes an authority in a new directory.
func newAuthority(dir string) (a *authority, err error) {
	defer failed(&err)
	if err = os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	a = &authority{dir: dir, ca: certstest.NewUntil(suite{}, authorityName, time.Now().AddDate(1, 0, 0))}
	certstest.Put(suite{}, a.file(authorityName), certstest.CertPEM(a.ca.Cert))
	return a, nil
}

// file is the path of a certificate's file.
func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// private is the path of a private key's file.
func (a *authority) private(name string) string { return filepath.Join(a.dir, name+"-key.pem") }

// issue writes a certificate with an end, in the place of a former one. The name is the user's name in etcd.
func (a *authority) issue(name string, end time.Time) (err error) {
	defer failed(&err)
	c := a.ca.Issue(name, end, a.further...)
	certstest.Put(suite{}, a.private(name), certstest.KeyPEM(suite{}, c))
	certstest.Put(suite{}, a.file(name), certstest.CertPEM(c))
	return nil
}

// suite turns a failure of certstest into a panic, and failed turns the panic into an error.
type suite struct{}

type failure struct{ error }

func (suite) Helper()                           {}
func (suite) Errorf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }
func (suite) FailNow()                          { panic(failure{errors.New("no certificate")}) }

func failed(err *error) {
	switch p := recover().(type) {
	case nil:
	case failure:
		*err = p
	default:
		panic(p)
	}
}
