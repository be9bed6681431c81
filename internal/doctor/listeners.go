package doctor

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"highwater/api"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/durable"
	"highwater/internal/words"
)

// checkListeners warns of whoever may ask without saying who they are.
func checkListeners(cfg *config.Config) []checklist.Line {
	var out []checklist.Line
	if beyondLoopback(cfg.Server.Listen) && len(cfg.Auth) == 0 && cfg.Server.ClientCA == "" {
		out = append(out, checklist.New(checklist.ServerListen, checklist.Warning, cfg.Server.Listen+" is open to other machines, and every machine in reach may ask for signatures", "listen on 127.0.0.1; or set server.authorized_keys, or server.client_ca"))
	}
	if beyondLoopback(cfg.Socket.Address()) && len(cfg.Auth) == 0 {
		out = append(out, checklist.New(checklist.SocketListen, checklist.Warning, cfg.Socket.Listen+" is open to other machines, and whoever reaches it may ask for signatures", "listen on tcp://127.0.0.1:7732 or unix:/PATH; or set server.authorized_keys"))
	}
	if beyondLoopback(cfg.Monitor.Listen) {
		out = append(out, checklist.New(checklist.MonitorListen, checklist.Warning, cfg.Monitor.Listen+" is open to other machines, and every machine in reach reads keys, levels and devices", "listen on 127.0.0.1, or let a firewall choose the readers"))
	}
	if len(out) == 0 {
		return []checklist.Line{checklist.Good(checklist.Listeners, "only this machine reaches the listeners, or clients authenticate")}
	}
	return out
}

// beyondLoopback tells whether other machines may reach an address. A name other than localhost counts as one that
// they reach.
func beyondLoopback(address string) bool {
	if address == "" || strings.HasPrefix(address, api.UnixPrefix) {
		return false
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

// soonEnds is how long before its end a certificate is worth a warning.
const soonEnds = 30 * 24 * time.Hour

// checkTLS reads the certificate, its key and the clients' authority, as serve does.
func checkTLS(cfg *config.Config, now time.Time) []checklist.Line {
	const name = checklist.TLS
	if cfg.Server.TLSCert == "" {
		return nil
	}
	const hint = "look at server.tls_cert, server.tls_key and server.client_ca; serve does not start with these files"
	pair, err := api.TLSConfig(cfg.Server.TLSCert, cfg.Server.TLSKey, cfg.Server.ClientCA)
	if err != nil {
		return []checklist.Line{checklist.New(name, checklist.Bad, err.Error(), hint)}
	}
	leaf, err := leafOf(pair)
	if err != nil {
		return []checklist.Line{checklist.New(name, checklist.Bad, cfg.Server.TLSCert+": "+err.Error(), hint)}
	}
	out := []checklist.Line{judgeCertificate(name, cfg.Server.TLSCert, leaf, now)}
	if cfg.Server.ClientCA == "" {
		return out
	}
	cas, err := readCertificates(cfg.Server.ClientCA)
	if err != nil {
		return append(out, checklist.New(checklist.ClientCA, checklist.Bad, cfg.Server.ClientCA+": "+err.Error(), hint))
	}
	for _, ca := range cas {
		out = append(out, judgeCertificate(checklist.ClientCA, cfg.Server.ClientCA, ca, now))
	}
	return out
}

func leafOf(c *tls.Config) (*x509.Certificate, error) {
	if leaf := c.Certificates[0].Leaf; leaf != nil {
		return leaf, nil
	}
	return x509.ParseCertificate(c.Certificates[0].Certificate[0])
}

func readCertificates(path string) (out []*x509.Certificate, err error) {
	text, err := durable.Read(path, config.MaxSize, "a file of certificates")
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("no certificate in the file")
	}
	return out, nil
}

func judgeCertificate(name checklist.ID, path string, c *x509.Certificate, now time.Time) checklist.Line {
	subject := fmt.Sprintf("%s (%s)", path, c.Subject.CommonName)
	const anew = "have the certificate issued anew, and restart"
	switch {
	case now.After(c.NotAfter):
		return checklist.New(name, checklist.Bad, subject+" ended at "+words.Time(c.NotAfter)+": clients refuse the certificate", anew)
	case now.Before(c.NotBefore):
		return checklist.New(name, checklist.Bad, subject+" begins at "+words.Time(c.NotBefore)+": clients refuse the certificate until the date", "is this machine's clock right? timedatectl")
	case c.NotAfter.Sub(now) < soonEnds:
		return checklist.New(name, checklist.Warning, subject+" ends soon, at "+words.Time(c.NotAfter), anew)
	}
	return checklist.Good(name, "%s is good until %s", subject, words.Time(c.NotAfter))
}
