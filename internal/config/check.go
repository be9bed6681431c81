package config

import (
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"highwater/api"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/signer"
)

func (c *Config) checkServer(f *faultList) {
	checkAddress(f, "server.listen", c.Server.Listen)
	for i, text := range c.Server.AuthorizedKeys {
		key, err := tezos.ParsePublicKey(text)
		if err != nil {
			f.add("server.authorized_keys[%d]: %v (public keys, not addresses: octez-client show address prints them)", i, err)
			continue
		}
		c.Auth = append(c.Auth, key)
	}
	if (c.Server.TLSCert == "") != (c.Server.TLSKey == "") {
		f.add("server.tls_cert and server.tls_key go together")
	}
	if c.Server.ClientCA != "" && c.Server.TLSCert == "" {
		f.add("server.client_ca needs server.tls_cert and server.tls_key")
	}
	if b := time.Duration(c.Server.Budget); b < 100*time.Millisecond || b > 30*time.Second {
		f.add("server.budget: %s; the budget lies between 100ms and 30s", b)
	}
	if p := c.Server.PathPrefix; p != "" && (!strings.HasPrefix(p, "/") || strings.ContainsAny(p, "?#% ")) {
		f.add("server.path_prefix: %q should start with / and be a plain path", p)
	}
}

// checkClients reads the limits of clients before a key is known.
func (c *Config) checkClients(f *faultList) {
	for i, text := range c.Server.AllowFrom {
		prefix, err := netip.ParsePrefix(text)
		if ip, ipErr := netip.ParseAddr(text); ipErr == nil {
			prefix, err = ip.Prefix(ip.BitLen())
		}
		if err != nil {
			f.add("server.allow_from[%d]: %q is no address, and no network like 10.0.0.0/8", i, text)
			continue
		}
		c.From = append(c.From, prefix.Masked())
	}
	if r := c.Server.Rate; !(r >= 0 && r <= 1e6) {
		f.add("server.rate: %v; it lies between 0 (no limit) and 1000000", r)
	}
	if b := c.Server.Burst; b < 0 || b > 1e6 {
		f.add("server.burst: %d; it lies between 0 (the rate) and 1000000", b)
	}
}

// Bursts is the number of requests at once: server.burst, else one second of server.rate.
func (c *Config) Bursts() int {
	if c.Server.Burst > 0 {
		return c.Server.Burst
	}
	return max(1, int(c.Server.Rate))
}

func checkAddress(f *faultList, name, address string) {
	if address == "" {
		return
	}
	if path, unix := strings.CutPrefix(address, api.UnixPrefix); unix {
		if !filepath.IsAbs(path) || len(path) > maxSocketPath {
			f.add("%s: %q should be an absolute path of at most %d characters", name, path, maxSocketPath)
		}
		return
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		f.add("%s: %v (use HOST:PORT or unix:/PATH)", name, err)
	}
}

func (c *Config) checkDevices(f *faultList) {
	names := map[string]bool{}
	for i := range c.Devices {
		d := &c.Devices[i]
		at := fmt.Sprintf("device %q", d.Name)
		if d.Name == "" {
			at = fmt.Sprintf("device number %d", i+1)
			f.add("%s: the name is missing", at)
		}
		if names[d.Name] {
			f.add("%s: the name is used twice", at)
		}
		names[d.Name] = true
		if d.Kind != KindLedger && d.Kind != KindTezSign {
			f.add("%s: kind %q; the kinds are ledger and tezsign", at, d.Kind)
		}
		if d.Transport == "" {
			d.Transport = TransportUSB
		}
		c.checkTransport(f, at, d)
	}
	if len(c.Devices) == 0 {
		f.add("no [[device]]: nothing could sign")
	}
}

func (c *Config) checkTransport(f *faultList, at string, d *Device) {
	switch {
	case d.Transport == TransportSim:
		if c.ChainID == tezos.Mainnet {
			f.add("%s: an emulated device does not sign for mainnet", at)
		}
	case d.Transport == TransportUSB:
	case strings.HasPrefix(d.Transport, TCPScheme) && d.Kind == KindLedger:
		if _, _, err := net.SplitHostPort(strings.TrimPrefix(d.Transport, TCPScheme)); err != nil {
			f.add("%s: transport: %v", at, err)
		}
	default:
		f.add("%s: transport %q; the transports are usb, sim, and tcp://HOST:PORT for a ledger", at, d.Transport)
	}
	if d.Sim != nil {
		checkSim(f, at, d)
	}
	if d.PassphraseFile != "" && d.PassphraseCredential != "" {
		f.add("%s: passphrase_file or passphrase_credential, not both", at)
	}
	if d.Kind == KindLedger && d.PassphraseFile+d.PassphraseCredential != "" {
		f.add("%s: a Ledger has no passphrase: enter its PIN on the device", at)
	}
	if d.Serial != "" && d.Kind == KindLedger {
		f.add("%s: all Ledgers have the same serial: pin the Ledger with id = \"four-words-like-this\"", at)
	}
	if d.ID != "" && d.Kind == KindTezSign {
		f.add("%s: a TezSign is pinned by its serial", at)
	}
	d.checkLocators(f, at)
}

// checkLocators reads a Ledger's locators; a locator's device name pins the Ledger.
func (d *Device) checkLocators(f *faultList, at string) {
	if len(d.Keys) > 0 && d.Kind != KindLedger {
		f.add("%s: keys are a Ledger's locators", at)
		return
	}
	for _, text := range d.Keys {
		l, err := ledger.ParseLocator(text)
		if err != nil {
			f.add("%s: keys: %v", at, err)
			continue
		}
		if d.ID == "" {
			d.ID = l.Device
		}
		if l.Device != d.ID {
			f.add("%s: keys: %s is on another device than %s", at, text, d.ID)
		}
		d.Locators = append(d.Locators, l)
	}
}

// checkAllow reads a key's `allow`: kinds, and the two operations by which a key registers as a baker.
func (k Key) checkAllow(f *faultList, at string, p *signer.KeyPolicy) {
	unknown := false
	for _, text := range k.Allow {
		switch text {
		case "reveal":
			p.Reveal = true
			continue
		case "delegation":
			p.Delegation = true
			continue
		}
		kind, err := tezos.ParseKind(text)
		if err != nil {
			f.add("%s: allow: %v (or reveal, delegation)", at, err)
			unknown = true
			continue
		}
		if slices.Contains(p.Allow, kind) {
			f.add("%s: allow: %s is listed twice", at, kind)
		}
		p.Allow = append(p.Allow, kind)
	}
	if len(k.Allow) > 0 && len(p.Allow) == 0 && !unknown {
		f.add("%s: allow: name the kinds besides reveal and delegation; no `allow` at all means all kinds", at)
	}
}

// AllowsOperations tells whether any key may register.
func (c *Config) AllowsOperations() bool {
	return slices.ContainsFunc(c.Policy, func(p signer.KeyPolicy) bool { return p.Reveal || p.Delegation })
}

func checkSim(f *faultList, at string, d *Device) {
	if d.Transport != TransportSim {
		f.add("%s: [device.sim] belongs to transport = \"sim\"", at)
	}
	if len(d.Sim.Curves) > 0 && d.Kind == KindTezSign {
		f.add("%s: sim.curves is for a ledger; a tezsign has sim.keys", at)
	}
	if len(d.Sim.Keys) > 0 && d.Kind == KindLedger {
		f.add("%s: sim.keys is for a tezsign; a ledger has sim.curves", at)
	}
	for _, text := range d.Sim.Curves {
		if _, err := ledger.ParseCurve(text); err != nil {
			f.add("%s: sim.curves: %v", at, err)
		}
	}
	if d.Sim.Latency < 0 {
		f.add("%s: sim.latency is negative", at)
	}
}

func (c *Config) checkKeys(f *faultList) {
	seen := map[tezos.PublicKeyHash]bool{}
	for i, k := range c.Keys {
		at := fmt.Sprintf("key number %d", i+1)
		pkh, err := tezos.ParsePublicKeyHash(k.PKH)
		if err != nil {
			f.add("%s: pkh: %v", at, err)
		} else if seen[pkh] {
			f.add("%s: %s is listed twice", at, pkh)
		}
		seen[pkh] = err == nil
		p := signer.KeyPolicy{PKH: pkh, Alias: k.Alias, Devices: k.Device}
		// An empty list would mean all, and reads as none.
		if k.Allow != nil && len(k.Allow) == 0 {
			f.add("%s: allow = [] allows nothing; leave the key out, or the setting to allow all kinds", at)
		}
		if k.Device != nil && len(k.Device) == 0 {
			f.add("%s: device = [] is no device; leave `device` out to sign with any device that holds the key", at)
		}
		for _, name := range k.Device {
			if !slices.ContainsFunc(c.Devices, func(d Device) bool { return d.Name == name }) {
				f.add("%s: device %q is not configured", at, name)
			}
		}
		k.checkAllow(f, at, &p)
		c.Policy = append(c.Policy, p)
	}
}
