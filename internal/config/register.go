package config

import (
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Register is where this instance shares the right to sign with others.
type Register struct {
	Endpoints []string `toml:"endpoints"`
	CA        string   `toml:"ca"`
	Cert      string   `toml:"cert"`
	Key       string   `toml:"key"`
	Name      string   `toml:"name"`
	Ahead     int32    `toml:"ahead"`
	Automatic bool     `toml:"automatic"`
	Priority  int32    `toml:"priority"`
	Patience  int32    `toml:"patience"`
}

// The defaults of [register].
const (
	registerName     = "bakery"
	registerAhead    = 3
	registerPatience = 2
	maxPatience      = 1000
)

var registerNames = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Shared tells whether the right to sign is shared through a register.
func (c *Config) Shared() bool { return len(c.Register.Endpoints) > 0 }

// RegisterKey is the key of the record.
func (c *Config) RegisterKey() string {
	return "/highwater/" + c.ChainID.String() + "/" + c.Register.Name
}

// fillRegister puts the defaults in; defined tells which settings the file has.
func (c *Config) fillRegister(defined func(...string) bool, f *faultList) {
	if !defined("register") {
		return
	}
	r := &c.Register
	if r.Name == "" {
		r.Name = registerName
	}
	if !defined("register", "ahead") {
		r.Ahead = registerAhead
	}
	if !defined("register", "automatic") {
		r.Automatic = true
	}
	if !defined("register", "patience") {
		r.Patience = registerPatience
	}
	c.checkRegister(f)
}

func (c *Config) checkRegister(f *faultList) {
	r := c.Register
	if len(r.Endpoints) == 0 {
		f.add("register.endpoints: name one of each member of the register, such as \"https://10.0.0.1:2379\"")
	}
	for i, e := range r.Endpoints {
		checkEndpoint(f, e)
		if slices.Contains(r.Endpoints[:i], e) {
			f.add("register.endpoints: %q is named twice: name one of each member of the register", e)
		}
	}
	if c.Peer.Listen != "" {
		f.add("peer.listen and [register]: one or the other. A pair hands the right to sign over between its two " +
			"machines, a register gives it to one of " +
			"several: two givers would make two signers")
	}
	if c.Node == "" {
		f.add("register: it needs `node`: the right to sign follows the chain's levels")
	}
	if (r.Cert == "") != (r.Key == "") {
		f.add("register.cert and register.key go together")
	}
	if !registerNames.MatchString(r.Name) {
		f.add("register.name: %q; lower-case letters, digits, - and _ (64 at most)", r.Name)
	}
	if r.Ahead < 1 || r.Ahead > maxAhead {
		f.add("register.ahead: %d; between 1 and %d levels", r.Ahead, maxAhead)
	}
	if r.Patience < 0 || r.Patience > maxPatience {
		f.add("register.patience: %d; between 0 and %d levels", r.Patience, maxPatience)
	}
	if r.Priority < 0 || r.Priority > maxPatience {
		f.add("register.priority: %d; between 0 (first) and %d", r.Priority, maxPatience)
	}
}

// checkEndpoint wants https, but on loopback: a writer to the register can take the right to sign away.
func checkEndpoint(f *faultList, e string) {
	u, err := url.Parse(e)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Port() == "" || strings.Trim(u.Path, "/") != "" ||
		u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		f.add("register.endpoints: %q is no address such as https://10.0.0.1:2379", e)
		return
	}
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		f.add("register.endpoints: %q: without TLS on this machine only: https://", e)
	}
}
