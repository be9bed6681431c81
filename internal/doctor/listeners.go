package doctor

import (
	"net"
	"strings"
	"time"

	"highwater/api"
	"highwater/internal/certs"
	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/words"
	"highwater/operate"
)

// checkListeners warns of listeners without authentication.
func checkListeners(cfg *config.Config) []checklist.Line {
	var out []checklist.Line
	if beyondLoopback(cfg.Server.Listen) && len(cfg.Auth) == 0 && cfg.Server.ClientCA == "" {
		out = append(out, checklist.New(
			checklist.ServerListen, checklist.Warning,
			cfg.Server.Listen+" is open to other machines, and every machine in reach may ask for signatures",
			"listen on 127.0.0.1; or set server.authorized_keys, or server.client_ca"))
	}
	if beyondLoopback(cfg.Socket.Address()) && len(cfg.Auth) == 0 {
		out = append(out, checklist.New(
			checklist.SocketListen, checklist.Warning,
			cfg.Socket.Listen+" is open to other machines, and every program in reach may ask for signatures",
			"listen on tcp://127.0.0.1:7732 or unix:/run/highwater/signer.sock; or set server.authorized_keys"))
	}
	if beyondLoopback(cfg.Monitor.Listen) {
		out = append(out, checklist.New(
			checklist.MonitorListen, checklist.Warning,
			cfg.Monitor.Listen+" is open to other machines, and every machine in reach reads keys, levels and devices",
			"listen on 127.0.0.1, or let a firewall choose the readers"))
	}
	if len(out) == 0 {
		return []checklist.Line{checklist.Good(
			checklist.Listeners, "only this machine reaches the listeners, or clients authenticate")}
	}
	return out
}

// beyondLoopback tells whether other machines may reach an address. Every name but localhost counts as reachable.
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

// checkTLS reads all certificates, their keys and authorities, as serve does.
func checkTLS(cfg *config.Config, now time.Time) (out []checklist.Line) {
	for _, f := range []struct {
		pair, authority        checklist.ID
		certSetting, caSetting string
		cert, key, ca          string
	}{
		{
			checklist.TLS, checklist.ClientCA, "server.tls_cert", "server.client_ca", cfg.Server.TLSCert, cfg.Server.TLSKey,
			cfg.Server.ClientCA,
		},
		{
			checklist.RegisterCert, checklist.RegisterCA, "register.cert", "register.ca", cfg.Register.Cert, cfg.Register.Key,
			cfg.Register.CA,
		},
	} {
		hint := "look at " + f.certSetting + ", its key and " + f.caSetting + "; serve does not start with these files"
		if f.cert != "" {
			if pair, err := certs.ReadPair(f.cert, f.key); err != nil {
				out = append(out, checklist.New(f.pair, checklist.Bad, err.Error(), hint))
			} else {
				out = append(out, judgeCertificate(f.pair, certs.PairRow(f.certSetting, f.cert, pair), now))
			}
		}
		if f.ca == "" {
			continue
		}
		list, err := certs.ReadAuthorities(f.ca)
		if err != nil {
			out = append(out, checklist.New(f.authority, checklist.Bad, err.Error(), hint))
		}
		for _, r := range certs.AuthorityRows(f.caSetting, f.ca, list) {
			out = append(out, judgeCertificate(f.authority, r, now))
		}
	}
	return out
}

func judgeCertificate(name checklist.ID, r certs.Row, now time.Time) checklist.Line {
	text, refused := r.Trouble(now)
	switch {
	case text == "":
		return checklist.Good(name, "%s is good until %s", r.Name(), words.Time(r.Ends))
	case refused && now.Before(r.Begins):
		return checklist.New(name, checklist.Bad, text, "is the clock right? timedatectl")
	case refused:
		return checklist.New(name, checklist.Bad, text,
			"have the certificate issued anew; the new files are read without a restart")
	}
	return checklist.New(name, checklist.Warning, text,
		"have the certificate issued anew; the new files are read without a restart")
}

// certificateFaults tell of files that a running daemon did not take.
func certificateFaults(st operate.Status) (out []checklist.Line) {
	for _, r := range st.Certificates {
		if r.Fault != "" {
			out = append(out, checklist.New(
				checklist.CertInUse, checklist.Warning, r.Name()+" stays in use, as the new files are not good: "+r.Fault,
				"mend the files; the new files are read without a restart"))
		}
	}
	return out
}
