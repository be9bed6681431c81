package cmd

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"highwater/api"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/signer"
)

// Where things are when nothing else is said.
const (
	defaultConfigPath  = "/etc/highwater/highwater.toml"
	configEnv          = "HIGHWATER_CONFIG"
	defaultStateDir    = "/var/lib/highwater"
	defaultAdminSocket = "/run/highwater/admin.sock"
	defaultListen      = "127.0.0.1:6732"
)

// Bounds of a configuration.
const (
	maxConfig     = 1 << 20
	maxSocketPath = 107 // sun_path of Linux, without its zero
)

// config is the file, as docs/configuration.md describes it.
type config struct {
	StateDir string         `toml:"state_dir"`
	Chain    string         `toml:"chain"`
	Node     string         `toml:"node"`
	Server   serverConfig   `toml:"server"`
	Admin    adminConfig    `toml:"admin"`
	Monitor  monitorConfig  `toml:"monitor"`
	Peer     peerConfig     `toml:"peer"`
	Hooks    hooksConfig    `toml:"hooks"`
	Devices  []deviceConfig `toml:"device"`
	Keys     []keyConfig    `toml:"key"`

	path    string
	chainID tezos.ChainID
	auth    []*tezos.PublicKey
	policy  []signer.KeyPolicy
}

type serverConfig struct {
	Listen          string   `toml:"listen"`
	PathPrefix      string   `toml:"path_prefix"`
	AuthorizedKeys  []string `toml:"authorized_keys"`
	KnownKeys       bool     `toml:"known_keys"`
	ProvePossession bool     `toml:"prove_possession"`
	Budget          duration `toml:"budget"`
	TLSCert         string   `toml:"tls_cert"`
	TLSKey          string   `toml:"tls_key"`
	ClientCA        string   `toml:"client_ca"`
}

type adminConfig struct {
	Socket string `toml:"socket"`
}

type monitorConfig struct {
	Listen string `toml:"listen"`
}

// peerConfig is where the other instance reaches this one; who that is is kept with the marks (highwater peer add).
type peerConfig struct {
	Listen string `toml:"listen"`
}

// hooksConfig is what is told of each change of role and each alarm.
type hooksConfig struct {
	Command string   `toml:"command"`
	Webhook string   `toml:"webhook"`
	Timeout duration `toml:"timeout"`
}

type deviceConfig struct {
	Name      string `toml:"name"`
	Kind      string `toml:"kind"`
	Serial    string `toml:"serial"`
	ID        string `toml:"id"`
	Transport string `toml:"transport"`

	// Keys that a Ledger is expected to have authorised, as octez's locators say them.
	Keys []string `toml:"keys"`

	// What unlocks a TezSign's keys after it was connected: at most one of them.
	PassphraseFile       string `toml:"passphrase_file"`
	PassphraseCredential string `toml:"passphrase_credential"`

	Sim *simConfig `toml:"sim"`

	locators []ledger.Locator
}

type simConfig struct {
	Seed    string   `toml:"seed"`
	Curves  []string `toml:"curves"`
	Keys    []string `toml:"keys"`
	Latency duration `toml:"latency"`
}

type keyConfig struct {
	PKH    string   `toml:"pkh"`
	Alias  string   `toml:"alias"`
	Device []string `toml:"device"`
	Allow  []string `toml:"allow"`
}

// duration is a text like "5ms" in the file.
type duration time.Duration

func (d *duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as \"5ms\" or \"3s\"", b)
	}
	*d = duration(v)
	return nil
}

// configPath is the file of --config, else of $HIGHWATER_CONFIG, else the usual one.
func configPath(flag string) string {
	if flag != "" {
		return flag
	}
	if env := os.Getenv(configEnv); env != "" {
		return env
	}
	return defaultConfigPath
}

// loadConfig reads and checks a configuration. The error lists all that is wrong with it.
func loadConfig(path string) (*config, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, hinted(fmt.Errorf("there is no configuration at %s", path),
			"write one with: highwater init --config "+path+"; or name another: --config FILE, $"+configEnv)
	}
	if err != nil {
		return nil, err
	}
	if info.Size() > maxConfig {
		return nil, fmt.Errorf("%s has %d bytes: that is no configuration", path, info.Size())
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	c, err := parseConfig(string(text))
	if err != nil {
		return nil, hinted(fmt.Errorf("%s: %w", path, err), "docs/configuration.md explains every setting")
	}
	c.path = path
	return c, nil
}

func parseConfig(text string) (*config, error) {
	c := &config{}
	meta, err := toml.Decode(text, c)
	if err != nil {
		return nil, err
	}
	var faults faultList
	for _, key := range meta.Undecoded() {
		faults.add("%s: there is no such setting", key)
	}
	c.fillIn()
	c.check(&faults)
	return c, faults.err()
}

// faultList collects all that is wrong, so that it is said at once.
type faultList []string

func (f *faultList) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f faultList) err() error {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return errors.New(f[0])
	}
	return fmt.Errorf("%d faults:\n  - %s", len(f), strings.Join(f, "\n  - "))
}

func (c *config) fillIn() {
	if c.StateDir == "" {
		c.StateDir = defaultStateDir
	}
	if c.Server.Listen == "" {
		c.Server.Listen = defaultListen
	}
	if c.Server.Budget == 0 {
		c.Server.Budget = duration(api.DefaultBudget)
	}
	if c.Admin.Socket == "" {
		c.Admin.Socket = defaultAdminSocket
		if c.StateDir != defaultStateDir {
			c.Admin.Socket = filepath.Join(c.StateDir, "admin.sock")
		}
	}
}

func (c *config) check(f *faultList) {
	var err error
	if c.Chain == "" {
		f.add("chain: say which chain to sign for, e.g. chain = %q for mainnet", tezos.Mainnet)
	} else if c.chainID, err = tezos.ParseChainID(c.Chain); err != nil {
		f.add("chain: %v", err)
	}
	c.checkServer(f)
	if len(c.Admin.Socket) > maxSocketPath {
		f.add("admin.socket: %d characters; a socket's path has %d at the most", len(c.Admin.Socket), maxSocketPath)
	}
	checkAddress(f, "monitor.listen", c.Monitor.Listen)
	c.checkPair(f)
	c.checkDevices(f)
	c.checkKeys(f)
}

func (c *config) checkServer(f *faultList) {
	checkAddress(f, "server.listen", c.Server.Listen)
	for i, text := range c.Server.AuthorizedKeys {
		key, err := tezos.ParsePublicKey(text)
		if err != nil {
			f.add("server.authorized_keys[%d]: %v (public keys, not addresses: octez-client show address ALIAS)", i, err)
			continue
		}
		c.auth = append(c.auth, key)
	}
	if (c.Server.TLSCert == "") != (c.Server.TLSKey == "") {
		f.add("server.tls_cert and server.tls_key go together")
	}
	if c.Server.ClientCA != "" && c.Server.TLSCert == "" {
		f.add("server.client_ca needs server.tls_cert and server.tls_key")
	}
	if b := time.Duration(c.Server.Budget); b < 100*time.Millisecond || b > 30*time.Second {
		f.add("server.budget: %s; it lies between 100ms and 30s", b)
	}
	if p := c.Server.PathPrefix; p != "" && !strings.HasPrefix(p, "/") {
		f.add("server.path_prefix: %q should start with /", p)
	}
}

// checkPair looks at what is for the other instance, and for the hooks.
func (c *config) checkPair(f *faultList) {
	if c.Peer.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Peer.Listen); err != nil {
			f.add("peer.listen: %v (use HOST:PORT)", err)
		}
	}
	if u, err := url.Parse(c.Hooks.Webhook); err != nil || c.Hooks.Webhook != "" && (u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		f.add("hooks.webhook: %q is no http address", c.Hooks.Webhook)
	}
	if t := time.Duration(c.Hooks.Timeout); t < 0 || t > time.Minute {
		f.add("hooks.timeout: %s; it lies between 0 and 1m", t)
	}
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

// Kinds of devices, and the word for emulated transports.
const (
	kindLedger   = "ledger"
	kindTezSign  = "tezsign"
	transportSim = "sim"
	transportUSB = "usb"
	tcpScheme    = "tcp://"
)

func (c *config) checkDevices(f *faultList) {
	names := map[string]bool{}
	for i := range c.Devices {
		d := &c.Devices[i]
		at := fmt.Sprintf("device %q", d.Name)
		if d.Name == "" {
			at = fmt.Sprintf("device number %d", i+1)
			f.add("%s: it has no name", at)
		}
		if names[d.Name] {
			f.add("%s: the name is used twice", at)
		}
		names[d.Name] = true
		if d.Kind != kindLedger && d.Kind != kindTezSign {
			f.add("%s: kind %q; the kinds are ledger and tezsign", at, d.Kind)
		}
		if d.Transport == "" {
			d.Transport = transportUSB
		}
		c.checkTransport(f, at, d)
	}
	if len(c.Devices) == 0 {
		f.add("there is no [[device]]: nothing could sign")
	}
}

func (c *config) checkTransport(f *faultList, at string, d *deviceConfig) {
	switch {
	case d.Transport == transportSim:
		if c.chainID == tezos.Mainnet {
			f.add("%s: an emulated device does not sign for mainnet", at)
		}
	case d.Transport == transportUSB:
	case strings.HasPrefix(d.Transport, tcpScheme) && d.Kind == kindLedger:
		if _, _, err := net.SplitHostPort(strings.TrimPrefix(d.Transport, tcpScheme)); err != nil {
			f.add("%s: transport: %v", at, err)
		}
	default:
		f.add("%s: transport %q; the transports are usb, sim, and tcp://HOST:PORT for a ledger", at, d.Transport)
	}
	if d.Sim != nil && d.Transport != transportSim {
		f.add("%s: [device.sim] belongs to transport = \"sim\"", at)
	}
	if d.PassphraseFile != "" && d.PassphraseCredential != "" {
		f.add("%s: passphrase_file or passphrase_credential, not both", at)
	}
	if d.Kind == kindLedger && d.PassphraseFile+d.PassphraseCredential != "" {
		f.add("%s: a Ledger has no passphrase: its PIN is entered on the device", at)
	}
	if d.Serial != "" && d.Kind == kindLedger {
		f.add("%s: a Ledger's serial is the same for all: pin it with id = \"four-words-like-this\"", at)
	}
	if d.ID != "" && d.Kind == kindTezSign {
		f.add("%s: a TezSign is pinned by its serial", at)
	}
	d.checkLocators(f, at)
}

// checkLocators reads a Ledger's locators; the device's name in them pins it.
func (d *deviceConfig) checkLocators(f *faultList, at string) {
	if len(d.Keys) > 0 && d.Kind != kindLedger {
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
		d.locators = append(d.locators, l)
	}
}

// checkAllow reads what a key may sign: kinds, and the two operations by which it registers as a baker.
func (k keyConfig) checkAllow(f *faultList, at string, p *signer.KeyPolicy) {
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
			continue
		}
		p.Allow = append(p.Allow, kind)
	}
	if len(k.Allow) > 0 && len(p.Allow) == 0 {
		f.add("%s: allow: name the kinds besides reveal and delegation; without `allow` it is all kinds", at)
	}
}

// allowsOperations tells whether any key may register.
func (c *config) allowsOperations() bool {
	return slices.ContainsFunc(c.policy, func(p signer.KeyPolicy) bool { return p.Reveal || p.Delegation })
}

func (c *config) checkKeys(f *faultList) {
	seen := map[tezos.PublicKeyHash]bool{}
	for i, k := range c.Keys {
		at := fmt.Sprintf("key number %d", i+1)
		pkh, err := tezos.ParsePublicKeyHash(k.PKH)
		if err != nil {
			f.add("%s: pkh: %v", at, err)
			continue
		}
		if seen[pkh] {
			f.add("%s: %s is there twice", at, pkh)
		}
		seen[pkh] = true
		p := signer.KeyPolicy{PKH: pkh, Alias: k.Alias, Devices: k.Device}
		for _, name := range k.Device {
			if !slices.ContainsFunc(c.Devices, func(d deviceConfig) bool { return d.Name == name }) {
				f.add("%s: device %q is not configured", at, name)
			}
		}
		k.checkAllow(f, at, &p)
		c.policy = append(c.policy, p)
	}
}
