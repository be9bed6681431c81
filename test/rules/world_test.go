//go:build prometheus

package rules

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/certs/certstest"
	"highwater/internal/node/nodesim"
	"highwater/test/harness"
)

const head = `name = %q
state_dir = %q
chain = %q
node = %q
[admin]
socket = %q
[monitor]
listen = %q
`

const devices = `[[device]]
name = "quick"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "worth nothing"
latency = "1ms"
[[device]]
name = "slow"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "worth nothing, and slow"
latency = "600ms"
`

// server has a budget below the time of the slow device: its requests fail.
const server = `[server]
listen = %q
known_keys = true
budget = "200ms"
`

const (
	peerSection = `[peer]
listen = %q
`
	registerSection = `[register]
endpoints = [%q]
`
	tlsSettings = `tls_cert = %q
tls_key = %q
`
)

// machine is a daemon in a process of its own.
type machine struct {
	*harness.Daemon
	octez, peer, dir string
}

// world has a pair, an owner of a register, the register, and a node.
type world struct {
	t        *testing.T
	node     *nodesim.Node
	nodeURL  string
	register string // URL
	// Of the standby: the file of a certificate.
	certificate            string
	active, standby, owner *machine
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, node: nodesim.New(nodesim.Config{Chain: harness.Chain, Level: harness.StartLevel})}
	s := httptest.NewServer(w.node)
	t.Cleanup(s.Close)
	t.Cleanup(w.node.Cut) // before Close, which waits for the streams
	w.nodeURL = s.URL
	w.startRegister()

	w.standby = w.newMachine("standby", w.endingSoon(), peerSection)
	w.active = w.newMachine("active", "", peerSection)
	w.owner = w.newMachine("owner", "", fmt.Sprintf(registerSection, w.register))
	for _, d := range []*machine{w.active, w.owner} {
		w.command(d, "activate", "--yes", "--level", fmt.Sprint(harness.StartLevel))
	}
	w.command(w.active, "peer", "add", w.standby.peer, w.instance(w.standby))
	w.command(w.standby, "peer", "add", w.active.peer, w.instance(w.active))
	w.command(w.owner, "register", "init", "--yes")
	return w
}

// newMachine initializes a machine with these settings of its server and this section.
func (w *world) newMachine(name, settings, section string) *machine {
	w.t.Helper()
	m := &machine{octez: harness.Address(w.t), peer: harness.Address(w.t), dir: w.t.TempDir()}
	if strings.Contains(section, "%q") {
		section = fmt.Sprintf(section, m.peer)
	}
	monitor := harness.Address(w.t)
	var err error
	m.Daemon, err = harness.Make(harness.Options{
		Binary: *binaryPath, Dir: m.dir, Octez: m.octez, Monitor: monitor, Keys: 2,
		Store: harness.Store{Ahead: 2, Runtime: m.dir},
		Config: fmt.Sprintf(head, name, filepath.Join(m.dir, "state"), harness.Chain, w.nodeURL, harness.Socket(m.dir),
			monitor) + fmt.Sprintf(server, m.octez) + settings + section + devices,
	})
	require.NoError(w.t, err)
	w.command(m, "init", "--yes")
	return m
}

// address is the monitor's.
func (m *machine) address() string { return strings.TrimPrefix(m.Monitor, "http://") }

// start starts a machine, and waits until its devices are ready.
func (w *world) start(m *machine) {
	w.t.Helper()
	require.NoError(w.t, m.Start(0))
	w.t.Cleanup(func() { require.NoError(w.t, m.Stop()) })
	_, err := m.AwaitUp(w.t.Context())
	require.NoError(w.t, err)
}

func (w *world) command(m *machine, args ...string) []byte {
	w.t.Helper()
	out, err := m.Command(w.t.Context(), args...)
	require.NoError(w.t, err)
	return out
}

// instance is the instance key, for the peer.
func (w *world) instance(m *machine) string {
	w.t.Helper()
	var v struct{ Instance string }
	require.NoError(w.t, json.Unmarshal(w.command(m, "peer", "show", "--json"), &v))
	return v.Instance
}

// endingSoon makes a certificate of ten more days, and gives the settings.
func (w *world) endingSoon() string {
	dir := w.t.TempDir()
	a := certstest.NewUntil(w.t, "authority", time.Now().AddDate(1, 0, 0))
	certstest.PutPair(w.t, dir, a.IssueFrom("standby", time.Now().AddDate(0, -2, 0), time.Now().AddDate(0, 0, 10)))
	w.certificate = filepath.Join(dir, "cert.pem")
	return fmt.Sprintf(tlsSettings, w.certificate, filepath.Join(dir, "key.pem"))
}

// startRegister starts a register of one member.
func (w *world) startRegister() {
	w.t.Helper()
	client, peer := "http://"+harness.Address(w.t), "http://"+harness.Address(w.t)
	dir := w.t.TempDir()
	p, err := harness.Spawn(filepath.Join(dir, "log"), "etcd", "--name", "m", "--data-dir", filepath.Join(dir, "data"),
		"--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
		"--initial-advertise-peer-urls", peer, "--initial-cluster", "m="+peer)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, p.EndAnyhow()) })
	require.NoError(w.t, p.Await(w.t.Context(), func(ctx context.Context) bool {
		_, err := harness.Get(ctx, http.DefaultClient, client+"/health")
		return err == nil
	}))
	w.register = client
}

// loseRecord takes the record out of the register, as a register that was set up anew.
func (w *world) loseRecord() {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), "etcdctl", "--endpoints", w.register, "del", "--prefix", "/highwater/").
		CombinedOutput()
	require.NoError(w.t, err, string(out))
	require.Equal(w.t, "1", strings.TrimSpace(string(out)))
}
