// Package config is the configuration file: settings, defaults, and checks.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"highwater/api"
	"highwater/internal/durable"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/internal/words"
	"highwater/ledger"
	"highwater/signer"
	"highwater/store/disk"
)

// The usual places of the configuration, the state directory, the admin socket and the listener for octez-baker.
const (
	DefaultPath        = "/etc/highwater/highwater.toml"
	Env                = "HIGHWATER_CONFIG"
	DefaultStateDir    = "/var/lib/highwater"
	DefaultAdminSocket = "/run/highwater/admin.sock"
	DefaultListen      = "127.0.0.1:6732"
)

// Bounds of a configuration.
const (
	MaxSize       = 1 << 20
	maxSocketPath = 107 // sun_path of Linux, without the final zero
)

// machineName is a name of this machine for people; empty: none.
var machineName = regexp.MustCompile(`^[\pL\pN ._-]{0,32}$`)

// Config is the configuration file. docs/configuration.md describes each setting.
type Config struct {
	Name     string   `toml:"name"`
	StateDir string   `toml:"state_dir"`
	Chain    string   `toml:"chain"`
	Node     string   `toml:"node"`
	Server   Server   `toml:"server"`
	Socket   Socket   `toml:"socket"`
	Admin    Admin    `toml:"admin"`
	Monitor  Monitor  `toml:"monitor"`
	Peer     Peer     `toml:"peer"`
	Register Register `toml:"register"`
	Hooks    Hooks    `toml:"hooks"`
	Store    Store    `toml:"store"`
	Audit    Audit    `toml:"audit"`
	Devices  []Device `toml:"device"`
	Keys     []Key    `toml:"key"`

	Path    string             `toml:"-"`
	ChainID tezos.ChainID      `toml:"-"`
	Auth    []*tezos.PublicKey `toml:"-"`
	From    []netip.Prefix     `toml:"-"` // of Server.AllowFrom
	Policy  []signer.KeyPolicy `toml:"-"`
}

// Server is the listener for octez-baker.
type Server struct {
	Listen          string   `toml:"listen"`
	PathPrefix      string   `toml:"path_prefix"`
	AuthorizedKeys  []string `toml:"authorized_keys"`
	KnownKeys       bool     `toml:"known_keys"`
	ProvePossession bool     `toml:"prove_possession"`
	Budget          Duration `toml:"budget"`
	TLSCert         string   `toml:"tls_cert"`
	TLSKey          string   `toml:"tls_key"`
	ClientCA        string   `toml:"client_ca"`
	AllowFrom       []string `toml:"allow_from"`
	Rate            float64  `toml:"rate"`
	Burst           int      `toml:"burst"`
}

// Socket is the listener for octez-baker's socket protocol; Server's authorized keys hold for Socket too.
type Socket struct {
	Listen string `toml:"listen"` // tcp://HOST:PORT or unix:/PATH; empty: off
}

// Address is the address to listen at, without the scheme of TCP.
func (s Socket) Address() string { return strings.TrimPrefix(s.Listen, TCPScheme) }

// Admin is the socket for commands on the same machine.
type Admin struct {
	Socket string `toml:"socket"`
}

// Peer is the listener for the peer. The watermark file keeps the peer's name and key (highwater peer add).
type Peer struct {
	Listen string `toml:"listen"`
}

// Hooks are a command and a webhook, called at each change of role and each alarm.
type Hooks struct {
	Command string   `toml:"command"`
	Webhook string   `toml:"webhook"`
	Timeout Duration `toml:"timeout"`
}

// Device is a [[device]].
type Device struct {
	Name      string `toml:"name"`
	Kind      string `toml:"kind"`
	Serial    string `toml:"serial"`
	ID        string `toml:"id"`
	Transport string `toml:"transport"`

	// Keys that a Ledger should have authorised, as octez's locators.
	Keys []string `toml:"keys"`

	// The source of a TezSign's passphrase: at most one of the two.
	PassphraseFile       string `toml:"passphrase_file"`
	PassphraseCredential string `toml:"passphrase_credential"`

	Sim *Sim `toml:"sim"`

	Locators []ledger.Locator `toml:"-"`
}

// Sim is how an emulated device behaves.
type Sim struct {
	Seed    string   `toml:"seed"`
	Curves  []string `toml:"curves"`
	Keys    []string `toml:"keys"`
	Latency Duration `toml:"latency"`
}

// Key is a [[key]]: alias, devices, and allowed kinds.
type Key struct {
	PKH    string   `toml:"pkh"`
	Alias  string   `toml:"alias"`
	Device []string `toml:"device"`
	Allow  []string `toml:"allow"`
}

// Duration is a text like "5ms" in the file.
type Duration time.Duration

// UnmarshalText reads a duration.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is not a duration like \"5ms\" or \"3s\"", b)
	}
	*d = Duration(v)
	return nil
}

// PathOf is the file of --config, else of $HIGHWATER_CONFIG, else the usual file.
func PathOf(flag string) string {
	if flag != "" {
		return flag
	}
	if env := os.Getenv(Env); env != "" {
		return env
	}
	return DefaultPath
}

// Load reads and checks the configuration at a path. The error lists all faults.
func Load(path string) (*Config, error) {
	text, err := durable.Read(path, MaxSize, "a configuration")
	if errors.Is(err, os.ErrNotExist) {
		return nil, hints.Add(fmt.Errorf("no configuration at %s", path),
			"write a configuration with: highwater init --config "+path+"; or name a different "+
				"file with --config or $"+Env)
	}
	if err != nil {
		return nil, ExplainAccess(err)
	}
	c, err := Parse(string(text))
	if err != nil {
		return nil, hints.Add(fmt.Errorf("%s: %w", path, err), "docs/configuration.md explains every setting")
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	c.Path = path
	c.resolve(dir)
	hints.HasNode(c.Node != "")
	return c, nil
}

// ExplainAccess adds a hint to the error of a foreign user's file.
func ExplainAccess(err error) error {
	if errors.Is(err, os.ErrPermission) {
		return hints.Add(err, disk.AccessHint(err))
	}
	return err
}

// CheckMode refuses a file that further users may write: the configuration names devices, and commands to run.
func CheckMode(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return hints.Add(fmt.Errorf("further users can write %s", path), "chmod go-w "+path)
	}
	return nil
}

// resolve makes relative paths relative to the configuration. Relative to the working directory, a command would look
// for the watermarks in a new place each day.
func (c *Config) resolve(dir string) {
	paths := []*string{
		&c.StateDir, &c.Store.RuntimeDir, &c.Audit.Dir, &c.Admin.Socket, &c.Server.TLSCert, &c.Server.TLSKey, &c.Server.ClientCA,
		&c.Register.CA, &c.Register.Cert, &c.Register.Key,
	}
	for i := range c.Devices {
		paths = append(paths, &c.Devices[i].PassphraseFile)
	}
	for _, p := range paths {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// Parse reads and checks the text of a configuration. The error lists all faults.
func Parse(text string) (*Config, error) {
	c := &Config{}
	meta, err := toml.Decode(text, c)
	if err != nil {
		return nil, err
	}
	var faults faultList
	for _, key := range meta.Undecoded() {
		faults.add("%s: no setting of this name%s", key, words.DidYouMean(key[len(key)-1], settingNames(key)))
	}
	if c.Server.Budget == 0 && !meta.IsDefined("server", "budget") {
		c.Server.Budget = Duration(api.DefaultBudget)
	}
	c.fillIn()
	c.check(&faults)
	c.fillRegister(meta.IsDefined, &faults)
	if err := faults.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// PeerAdd is the command by which the peer learns of this instance; empty while the peer cannot reach this instance.
func (c *Config) PeerAdd(instance string) string {
	host, port, err := net.SplitHostPort(c.Peer.Listen)
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		if host, err = os.Hostname(); err != nil {
			return ""
		}
	}
	return "highwater peer add " + net.JoinHostPort(host, port) + " " + instance
}

// OctezImport is the command by which octez learns of the key with an address, under an alias. Octez speaks HTTP over
// TCP only: a unix socket stands behind a proxy.
func (c *Config) OctezImport(alias, pkh string) string {
	at := c.Locators(c.Server.Listen, c.Socket.Address()).HTTP
	return "octez-client import secret key " + alias + " " + at + "/" + pkh
}

// Locators are octez's locators for listeners at these addresses, each up to the key.
func (c *Config) Locators(http, socket string) api.Locators {
	scheme := "http"
	if c.Server.TLSCert != "" {
		scheme = "https"
	}
	if strings.HasPrefix(http, api.UnixPrefix) || strings.HasPrefix(http, "/") {
		http = "ADDRESS"
	}
	out := api.Locators{HTTP: fmt.Sprintf("%s://%s%s", scheme, http, strings.TrimSuffix(c.Server.PathPrefix, "/"))}
	switch path, unix := strings.CutPrefix(c.Socket.Listen, api.UnixPrefix); {
	case unix:
		out.Socket = api.UnixPrefix + path + "?pkh=tz1…"
	case socket != "":
		out.Socket = TCPScheme + socket + "/tz1…"
	}
	return out
}

// faultList collects all faults, for one error.
type faultList []string

func (f *faultList) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// differ wants two listeners at different addresses; port 0 is any free port.
func (f *faultList) differ(name, address, other, second string) {
	if address == second && address != "" && !strings.HasSuffix(address, ":0") {
		f.add("%s and %s are the same address, %s", name, other, address)
	}
}

func (f faultList) err() error {
	switch len(f) {
	case 0:
		return nil
	case 1:
		return errors.New(f[0])
	}
	return fmt.Errorf("%d faults:\n  - %s", len(f), strings.Join(f, "\n  - "))
}

func (c *Config) fillIn() {
	if c.StateDir == "" {
		c.StateDir = DefaultStateDir
	}
	if c.Server.Listen == "" {
		c.Server.Listen = DefaultListen
	}
	if c.Admin.Socket == "" {
		c.Admin.Socket = DefaultAdminSocket
		if c.StateDir != DefaultStateDir {
			c.Admin.Socket = filepath.Join(c.StateDir, "admin.sock")
		}
	}
}

func (c *Config) check(f *faultList) {
	if !machineName.MatchString(c.Name) {
		f.add("name: %q; a name has at most 32 letters, digits, spaces, dots, dashes and underscores", c.Name)
	}
	var err error
	if c.Chain == "" {
		f.add("chain: name the chain to sign for, e.g. chain = %q for mainnet", tezos.Mainnet)
	} else if c.ChainID, err = tezos.ParseNetwork(c.Chain); err != nil {
		f.add("chain: %v", err)
	} else {
		c.Chain = c.ChainID.String()
	}
	c.Store.check(f)
	c.Audit.check(f)
	c.checkServer(f)
	c.checkClients(f)
	if len(c.Admin.Socket) > maxSocketPath {
		f.add("admin.socket: %d characters; a socket's path has %d at the most", len(c.Admin.Socket), maxSocketPath)
	}
	checkAddress(f, "socket.listen", c.Socket.Address())
	c.Monitor.check(f)
	c.checkPair(f)
	f.differ("server.listen", c.Server.Listen, "monitor.listen", c.Monitor.Listen)
	f.differ("server.listen", c.Server.Listen, "socket.listen", c.Socket.Address())
	f.differ("monitor.listen", c.Monitor.Listen, "socket.listen", c.Socket.Address())
	if u, err := url.Parse(c.Node); c.Node != "" &&
		(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		f.add("node: %q is no address such as http://127.0.0.1:8732", c.Node)
	}
	c.checkDevices(f)
	c.checkKeys(f)
}

// checkPair checks the settings of the peer and of the hooks.
func (c *Config) checkPair(f *faultList) {
	if c.Peer.Listen != "" {
		if _, _, err := net.SplitHostPort(c.Peer.Listen); err != nil {
			f.add("peer.listen: %v (use HOST:PORT)", err)
		}
	}
	if u, err := url.Parse(c.Hooks.Webhook); err != nil || c.Hooks.Webhook != "" &&
		(u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		f.add("hooks.webhook: %q is no http address", c.Hooks.Webhook)
	}
	if t := time.Duration(c.Hooks.Timeout); t < 0 || t > time.Minute {
		f.add("hooks.timeout: %s; the time-out lies between 0 and 1m", t)
	}
}

// Kinds of devices, and the word for emulated transports.
const (
	KindLedger   = "ledger"
	KindTezSign  = "tezsign"
	TransportSim = "sim"
	TransportUSB = "usb"
	TCPScheme    = "tcp://"
)
