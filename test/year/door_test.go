package year

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs"
	"highwater/internal/certs/certstest"
)

// host is the name of the signer in its certificates.
const host = "signer"

// door is a listener's TLS: the certificates of a machine, in files that a program renews. A connection goes through
// the handshake whenever the certificate in use is another than before; else only the dates are looked at.
type door struct {
	t         *testing.T
	dir       string
	authority *certstest.Authority

	good   []byte       // the certificate of the last renewal that went well
	broken bool         // the files on the disk
	files  *certs.Files // nil: to be opened
	shaken []byte       // the certificate of the last handshake
	ends   time.Time    // of shaken
	called time.Time    // when an operator was called to a start that met broken files
}

func newDoor(t *testing.T, dir string, authority *certstest.Authority, life time.Duration) *door {
	require.NoError(t, os.MkdirAll(dir, 0o700))
	d := &door{t: t, dir: dir, authority: authority}
	d.renew(life)
	return d
}

func (d *door) renew(life time.Duration) {
	next := d.authority.Issue(host, time.Now().Add(life))
	certstest.PutPair(d.t, d.dir, next)
	d.broken, d.good = false, next.Leaf.Raw
}

// damage is a renewal gone wrong.
type damage func(d *door, life time.Duration)

// damages are three renewals gone wrong: a certificate without its key, half a file, an old pair out of a backup.
var damages = []damage{
	func(d *door, life time.Duration) {
		next := d.authority.Issue(host, time.Now().Add(life))
		certstest.Put(d.t, filepath.Join(d.dir, "cert.pem"), certstest.CertPEM(next))
	},
	func(d *door, life time.Duration) {
		text := certstest.CertPEM(d.authority.Issue(host, time.Now().Add(life)))
		certstest.Put(d.t, filepath.Join(d.dir, "cert.pem"), text[:len(text)/2])
	},
	func(d *door, _ time.Duration) {
		certstest.PutPair(d.t, d.dir, d.authority.Issue(host, time.Now().Add(-time.Minute)))
	},
}

// restart begins a new process, which reads good files at once, on standby too. Broken files wait for a connection to
// find them.
func (d *door) restart() {
	d.files, d.shaken = nil, nil
	if !d.broken {
		require.NoError(d.t, d.open())
	}
}

// open reads the files for the first time, as the start of a signer does.
func (d *door) open() (err error) {
	if d.files == nil {
		d.files, err = certs.Open(certs.Names{
			CertSetting: "server.tls_cert",
			Cert:        filepath.Join(d.dir, "cert.pem"), Key: filepath.Join(d.dir, "key.pem"),
		}, slog.New(slog.DiscardHandler))
	}
	return err
}

// knock is a connection of the baker: the signer must show the certificate of the last good renewal.
func (d *door) knock() error {
	if err := d.open(); err != nil {
		return err
	}
	c := d.files.Certificate()
	if !bytes.Equal(c.Certificate[0], d.good) {
		return errors.New("the certificate in use is not that of the last good renewal")
	}
	if bytes.Equal(c.Certificate[0], d.shaken) && !time.Now().After(d.ends) {
		return nil
	}
	here, there := net.Pipe()
	server, client := tls.Server(there, d.files.Server()),
		tls.Client(here, &tls.Config{RootCAs: d.authority.Pool(), ServerName: host, MinVersion: tls.VersionTLS12})
	served := make(chan error, 1)
	go func() { served <- errors.Join(server.HandshakeContext(context.Background()), there.Close()) }()
	err := client.HandshakeContext(d.t.Context())
	err = errors.Join(err, here.Close(), <-served)
	if err != nil {
		return fmt.Errorf("no connection: %w", err)
	}
	leaf := client.ConnectionState().PeerCertificates[0]
	d.shaken, d.ends = leaf.Raw, leaf.NotAfter
	return nil
}

// renew changes the certificates of both machines, or damages them. A daemon looks at the files each ten seconds, on
// standby too: long before the next renewal.
func (l *life) renew(by damage) {
	for _, d := range l.doors {
		if by == nil {
			d.renew(l.certificates)
			require.NoError(l.t, d.open()) // of a start that broken files had stopped
			d.files.Again()
			continue
		}
		by(d, l.certificates)
		d.broken = true
	}
}

// closed tells why no connection comes about. A start that meets broken files does not go on: an operator is called,
// and mends them.
func (l *life) closed(d *door) (fault, bool) {
	starts, broken := d.files == nil, d.broken
	if starts && broken {
		if d.called.IsZero() {
			d.called = time.Now()
		}
		if time.Since(d.called) > deadDiskWait {
			d.renew(l.certificates)
			d.called = time.Time{}
		}
	}
	err := d.knock()
	switch {
	case err == nil:
		return "", false
	case starts && broken:
		return badStart, true
	}
	l.t.Log(err)
	return renewal, true
}

// progress is a line for each month.
func (l *life) progress(month int, ahead int32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Logf("month %d, ahead = %d: %d levels, %d rights, lost by cause: %v",
		month, ahead, l.result.levels, l.result.rights, l.result.lost)
}
