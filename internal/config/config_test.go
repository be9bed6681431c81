package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/early"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/store/disk"
)

// minimal is the shortest configuration.
const minimal = `chain = "NetXnHfVqm9iesp"
[[device]]
name = "left"
kind = "ledger"
transport = "sim"
`

func TestDefaults(t *testing.T) {
	c, err := Parse(minimal)
	require.NoError(t, err)
	require.Equal(t, "/var/lib/highwater", c.StateDir)
	require.Equal(t, "127.0.0.1:6732", c.Server.Listen)
	require.Equal(t, "/run/highwater/admin.sock", c.Admin.Socket)
	require.Empty(t, c.Monitor.Listen, "the monitor is off")
	require.Equal(t, api.DefaultBudget, time.Duration(c.Server.Budget))
	require.False(t, c.Server.KnownKeys)
	require.False(t, c.Server.ProvePossession)
	require.Empty(t, c.Auth)
	require.Empty(t, c.Policy)
	c, err = Parse("state_dir = \"/elsewhere\"\n" + minimal)
	require.NoError(t, err)
	require.Equal(t, "/elsewhere/admin.sock", c.Admin.Socket, "another state directory has a socket of its own")
	require.Equal(t, "usb", mustParse(t, strings.ReplaceAll(minimal, `transport = "sim"`, "")).Devices[0].Transport)
}

func mustParse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse(text)
	require.NoError(t, err)
	return c
}

func TestNameOfTheMachine(t *testing.T) {
	require.Equal(t, "attic 2", mustParse(t, "name = \"attic 2\"\n"+minimal).Name)
	for _, name := range []string{"<b>", strings.Repeat("a", 33), "a/b"} {
		_, err := Parse("name = \"" + name + "\"\n" + minimal)
		require.ErrorContains(t, err, "name: ")
	}
}

const anAddress = "tz1Ke2h7sDdakHJQh8WX4Z372du1KChsksyU"

// TestGoodSettings: what is allowed arrives.
func TestGoodSettings(t *testing.T) {
	c := mustParse(t, `node = "http://127.0.0.1:8732"
`+minimal+`
[device.sim]
seed = "a"
curves = ["ed25519", "P-256"]
latency = "5ms"
[[device]]
name = "gadget"
kind = "tezsign"
serial = "0123"
transport = "sim"
passphrase_credential = "tezsign"
[device.sim]
keys = ["consensus"]
[[device]]
name = "speculos"
kind = "ledger"
id = "four-words-like-this"
transport = "tcp://127.0.0.1:9999"
[[key]]
pkh = "`+anAddress+`"
alias = "main"
device = ["speculos", "left"]
allow = ["attestation", "block"]
[server]
listen = "unix:/run/highwater/signer.sock"
path_prefix = "/some/prefix"
authorized_keys = ["edpkuBknW28nW72KG6RoHtYW7p12T6GKc7nAbwYX5m8Wd9sDVC9yav"]
budget = "30s"
[monitor]
listen = "[::1]:6733"
`)
	require.Len(t, c.Auth, 1)
	require.Equal(t, 30*time.Second, time.Duration(c.Server.Budget))
	require.Equal(t, 5*time.Millisecond, time.Duration(c.Devices[0].Sim.Latency))
	require.Equal(t, []string{"speculos", "left"}, c.Policy[0].Devices)
	require.Equal(t, []tezos.Kind{tezos.Attestation, tezos.Block}, c.Policy[0].Allow)
	for _, budget := range []string{"100ms", "30s", "1.5s"} {
		mustParse(t, minimal+"[server]\nbudget = \""+budget+"\"\n")
	}
}

// TestEarlyLimits: a limit that is not configured has its default, and a zero is a zero.
func TestEarlyLimits(t *testing.T) {
	require.Equal(t, early.Defaults, mustParse(t, minimal).Monitor.Limits())
	got := mustParse(t, minimal+"[monitor]\nslow_signature = \"0s\"\nslow_sync = \"3s\"\ntime_used_up = 0\nreconnects = 9\n"+
		"marks_ahead = 100\nsilent_rights = 20\nmissed_rights = 0\n").Monitor.Limits()
	require.Equal(t, early.Limits{SlowSync: 3 * time.Second, Reconnects: 9, MarksAhead: 100, SilentRights: 20}, got)
}

// TestFaults: each is found, named with its place, and found together with the others.
func TestFaults(t *testing.T) {
	device := strings.TrimPrefix(minimal, "chain = \"NetXnHfVqm9iesp\"\n")
	key := func(lines string) string { return minimal + "[[key]]\npkh = \"" + anAddress + "\"\n" + lines }
	server := func(lines string) string { return minimal + "[server]\n" + lines }
	for _, c := range []struct{ text, says string }{
		{device, "chain: name the chain"},
		{"chain = \"NetXnHfVqm9iesp\"\n", "no [[device]]"},
		{"state_dirs = \"/x\"\n" + minimal, "state_dirs: no setting of this name"},
		{"policy = []\n" + minimal, "policy: no setting of this name"},
		{"auth = []\n" + minimal, "auth: no setting of this name"},
		{"chainid = \"NetXnHfVqm9iesp\"\n" + minimal, "chainid: no setting of this name"},
		{"path = \"/x\"\n" + minimal, "path: no setting of this name"},
		{minimal + "locators = []\n", "device.locators: no setting of this name"},
		{minimal + "passphrase = \"x\"\n", "device.passphrase: no setting of this name"},
		{"node = \"127.0.0.1:8732\"\n" + minimal, "node: "},
		{strings.Replace(minimal, "NetXnHfVqm9iesp", "nonet", 1), `chain: "nonet" is no chain id, and no network`},
		{strings.Replace(minimal, "NetXnHfVqm9iesp", "NetXnHfVqm9iesq", 1), "checksum"},
		{"node = \"ftp://x\"\n" + minimal, "node: "},
		{server("budget = \"99ms\""), "server.budget"},
		{server("budget = \"0s\""), "server.budget"},
		{server("budget = \"-3s\""), "server.budget"},
		{server("budget = \"31s\""), "server.budget"},
		{server("budget = \"3\""), "is not a duration"},
		{server("budget = 3"), "budget"},
		{server("listen = \"localhost\""), "server.listen: "},
		{server("listen = \"unix:signer.sock\""), "absolute path"},
		{server("listen = \"unix:/" + strings.Repeat("x", 107) + "\""), "at most 107"},
		{server("path_prefix = \"signer\""), "should start with /"},
		{server("path_prefix = \"/a?b\""), "path_prefix"},
		{server("authorized_keys = [\"" + anAddress + "\"]"), "authorized_keys[0]: "},
		{server("authorized_keys = [\"edpk\"]"), "authorized_keys[0]: "},
		{server("tls_key = \"/x\""), "go together"},
		{server("client_ca = \"/x\""), "client_ca needs"},
		{server("known_keys = \"yes\""), "known_keys"},
		{server("listen = \"127.0.0.1:1\"\n[monitor]\nlisten = \"127.0.0.1:1\""), "same address"},
		{minimal + "[monitor]\nlisten = \"6733\"", "monitor.listen"},
		{minimal + "[monitor]\nslow_sync = \"61s\"", "monitor.slow_sync: 1m1s"},
		{minimal + "[monitor]\nslow_signature = \"-1s\"", "monitor.slow_signature: -1s"},
		{minimal + "[monitor]\ntime_used_up = 201", "monitor.time_used_up: 201"},
		{minimal + "[monitor]\nreconnects = -1", "monitor.reconnects: -1"},
		{minimal + "[monitor]\nsilent_rights = -1", "monitor.silent_rights: -1"},
		{minimal + "[monitor]\nmissed_rights = 201", "monitor.missed_rights: 201"},
		{minimal + "[monitor]\nmarks_ahead = -1", "monitor.marks_ahead: -1"},
		{minimal + "[admin]\nsocket = \"/" + strings.Repeat("x", 107) + "\"", "admin.socket: 108 characters"},
		{strings.Replace(minimal, "left", "", 1), "device number 1: the name is missing"},
		{minimal + device, "the name is used twice"},
		{strings.Replace(minimal, "ledger", "trezor", 1), "the kinds are ledger and tezsign"},
		{strings.Replace(minimal, "sim", "tcp://nowhere", 1), "transport: "},
		{
			strings.Replace(strings.Replace(minimal, "sim", "tcp://127.0.0.1:1", 1), "ledger", "tezsign", 1),
			"the transports are",
		},
		{strings.Replace(minimal, "NetXnHfVqm9iesp", "NetXdQprcVkpaWU", 1), "does not sign for mainnet"},
		{strings.Replace(minimal, `"sim"`, `"usb"`, 1) + "[device.sim]\nseed = \"x\"", "belongs to transport"},
		{minimal + "[device.sim]\ncurves = [\"ed448\"]", "sim.curves: unknown curve"},
		{minimal + "[device.sim]\nkeys = [\"consensus\"]", "sim.keys is for a tezsign"},
		{minimal + "[device.sim]\nlatency = \"-1s\"", "latency is negative"},
		{
			strings.Replace(minimal, "ledger", "tezsign", 1) + "[device.sim]\ncurves = [\"ed25519\"]",
			"sim.curves is for a ledger",
		},
		{minimal + "passphrase_file = \"/x\"", "a Ledger has no passphrase"},
		{
			strings.Replace(minimal, "ledger", "tezsign", 1) + "passphrase_file = \"/x\"\npassphrase_credential = \"y\"",
			"not both",
		},
		{minimal + "serial = \"0001\"", "the same serial"},
		{strings.Replace(minimal, "ledger", "tezsign", 1) + "id = \"a-b-c-d\"", "pinned by its serial"},
		{key("device = [\"right\"]"), `device "right" is not configured`},
		{key("device = []"), "device = [] is no device"},
		{key("allow = []"), "allow = [] allows nothing"},
		{key("allow = [\"transfer\"]"), "allow: unknown kind"},
		{key("allow = [\"reveal\"]"), "allow: name the kinds besides"},
		{key("allow = [\"block\", \"block\"]"), "block is listed twice"},
		{key("[[key]]\npkh = \"" + anAddress + "\""), "is listed twice"},
		{minimal + "[[key]]\nalias = \"x\"", "key number 1: pkh: "},
		{minimal + "[[key]]\npkh = \"edpkuBknW28nW72KG6RoHtYW7p12T6GKc7nAbwYX5m8Wd9sDVC9yav\"", "key number 1: pkh: "},
		{"chain = \"x\"\nchain = \"y\"", "chain"},
		{"\x00", "toml"},
		{"chain = 5", "chain"},
		{"device = \"left\"", "device"},
		{"", "2 faults"},
	} {
		got, err := Parse(c.text)
		require.ErrorContains(t, err, c.says, c.text)
		require.Nil(t, got)
	}
	_, err := Parse("a = 1\nb = 2\n[server]\nbudget = \"1ms\"\n[[device]]\n[[key]]\npkh = \"x\"")
	for _, each := range []string{
		"7 faults", "a: ", "b: ", "server.budget", "chain: ", "the name is missing", "device number 1: kind",
		"key number 1",
	} {
		require.ErrorContains(t, err, each)
	}
}

func TestConfigFiles(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "nothing"))
	require.ErrorContains(t, err, "no configuration at")
	require.NotEmpty(t, hints.Of(err))
	_, err = Load(t.TempDir())
	require.Error(t, err)
	big := filepath.Join(t.TempDir(), "big")
	require.NoError(t, os.WriteFile(big, []byte(strings.Repeat("#", MaxSize+1)), 0o600))
	_, err = Load(big)
	require.ErrorContains(t, err, "is not a configuration")

	path := filepath.Join(t.TempDir(), "highwater.toml")
	text := "state_dir = \"s\"\n" + strings.Replace(minimal, "ledger", "tezsign", 1) + "passphrase_file = \"p\"\n" +
		"[admin]\nsocket = \"a\"\n[server]\ntls_cert = \"c\"\ntls_key = \"/k\"\nclient_ca = \"d\"\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	c, err := Load(path)
	require.NoError(t, err)
	dir := filepath.Dir(path)
	require.Equal(t, []string{dir + "/s", dir + "/a", dir + "/c", "/k", dir + "/d", dir + "/p"}, []string{
		c.StateDir, c.Admin.Socket, c.Server.TLSCert, c.Server.TLSKey, c.Server.ClientCA, c.Devices[0].PassphraseFile,
	})

	t.Setenv(Env, "")
	require.Equal(t, DefaultPath, PathOf(""))
	t.Setenv(Env, "/env")
	require.Equal(t, "/env", PathOf(""))
	require.Equal(t, "/flag", PathOf("/flag"))
}

// FuzzParseConfig: whatever a file holds, it is a whole configuration or an error that leaves nothing.
func FuzzParseConfig(f *testing.F) {
	f.Add(minimal)
	page, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(f, err)
	_, example, _ := strings.Cut(string(page), "```toml\n")
	example, _, _ = strings.Cut(example, "```")
	f.Add(example)
	f.Add("[[device]]\n[[key]]\n[server]\nbudget = \"1h\"")
	f.Add("chain = \"NetXnHfVqm9iesp\"\n[[key]]\npkh = \"" + anAddress + "\"\nallow = []")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(text)
		if err != nil {
			require.Nil(t, c)
			return
		}
		require.NotEmpty(t, c.StateDir)
		require.NotEmpty(t, c.Server.Listen)
		require.NotEmpty(t, c.Devices)
		require.NotEqual(t, tezos.ChainID{}, c.ChainID)
		require.Len(t, c.Auth, len(c.Server.AuthorizedKeys))
		require.Len(t, c.Policy, len(c.Keys))
		for i, k := range c.Policy {
			require.Len(t, k.Allow, len(c.Keys[i].Allow))
			require.False(t, c.Keys[i].Allow != nil && len(k.Allow) == 0)
		}
		for _, d := range c.Devices {
			require.False(t, d.Transport == TransportSim && c.ChainID == tezos.Mainnet)
		}
	})
}

// TestAnotherUsersFile: whoever may not read a file is told who may.
func TestAnotherUsersFile(t *testing.T) {
	err := ExplainAccess(&os.PathError{Op: "open", Path: "highwater.toml", Err: syscall.EACCES})
	require.EqualError(t, err, "open highwater.toml: permission denied")
	require.Equal(t, disk.AccessHint(err), hints.Of(err))
	other := errors.New("other")
	require.Equal(t, other, ExplainAccess(other))
}
