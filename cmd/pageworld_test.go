package cmd

import (
	"context"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/config"
	"highwater/internal/node"
	"highwater/internal/node/nodesim"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/test/harness"
)

// page is the world that a page's reader has before him.
type page struct {
	t        *testing.T
	file     string // of the page
	blocks   time.Duration
	dir      string
	machines map[string]*machine
	judge    *baker.Judge
	sim      *nodesim.Node
	stop     func() // bakers, chain and daemons
}

// machine is one of the two, as the page names it.
type machine struct {
	name          string
	address       string // on the page
	shortKey      string // on the page
	listen, peer  string
	config, state string
	key           string           // of the instance, once it has one
	daemon        *harness.Process // nil: not running
	etcd          *etcdMember      // nil: the page has no register
}

// The page's chain: a block each 0.3 s, and of twelve in a row one is ours, and one more if that baker is late.
const (
	pageChain  = "NetXnHfVqm9iesp"
	pageBlocks = 300 * time.Millisecond
	pageTurn   = 12
)

func newPage(t *testing.T) *page {
	p := &page{t: t, file: "docs/failover.md", blocks: pageBlocks, dir: t.TempDir(), judge: baker.NewJudge()}
	p.machines = map[string]*machine{
		"A": {name: "A", address: "10.0.0.1:6734", shortKey: "eae7f387"},
		"B": {name: "B", address: "10.0.0.2:6734", shortKey: "f9294f53"},
	}
	p.begin(p.prepare)
	return p
}

// begin lets the chain run, and a baker on each machine.
func (p *page) begin(prepare func(m *machine, node string, key tezos.PublicKeyHash)) {
	t := p.t
	key := scriptKey(t)
	chain, err := tezos.ParseChainID(pageChain)
	require.NoError(t, err)
	bakers := []node.Signer{{Delegate: key.Hash(), Key: key.Hash()}}
	for i := byte(1); i < pageTurn; i++ {
		other := tezos.PublicKeyHash{Curve: tezos.Ed25519, Hash: [20]byte{i}}
		bakers = append(bakers, node.Signer{Delegate: other, Key: other})
	}
	p.sim = nodesim.New(nodesim.Config{Chain: chain, Level: 8_000_000, Interval: p.blocks, Bakers: bakers})
	server := httptest.NewServer(p.sim)
	for _, m := range p.machines {
		prepare(m, server.URL, key.Hash())
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.sim.Run(ctx) })
	for _, m := range p.machines {
		running.Go(func() { p.bake(ctx, m, key, chain) })
	}
	p.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		for _, m := range p.machines {
			p.halt(m, (*harness.Process).Stop)
		}
		for _, m := range p.machines {
			m.etcd.end(t)
		}
		server.Close()
	})
	t.Cleanup(p.stop)
}

func scriptKey(t *testing.T) *tezos.PublicKey {
	t.Helper()
	sim, err := ledgersim.New(ledgersim.Options{Seed: scriptSeed})
	require.NoError(t, err)
	key, err := sim.PublicKey(ledger.Ed25519, ledger.DefaultPath)
	require.NoError(t, err)
	return key
}

// prepare writes what the page takes for granted: a configuration, and the baker's own files.
func (p *page) prepare(m *machine, node string, key tezos.PublicKeyHash) {
	m.listen, m.peer = harness.Address(p.t), harness.Address(p.t)
	dir := filepath.Join(p.dir, m.name)
	m.config, m.state = filepath.Join(dir, "highwater.toml"), filepath.Join(dir, "state")
	text := fmt.Sprintf("state_dir = %q\nchain = %q\nnode = %q\n[server]\nlisten = %q\n"+
		"[admin]\nsocket = %q\n[peer]\nlisten = %q\n"+
		"[[device]]\nname = \"left\"\nkind = \"ledger\"\ntransport = \"sim\"\n[device.sim]\nseed = %q\n",
		m.state, pageChain, node, m.listen, filepath.Join(dir, "run", "admin.sock"), m.peer, scriptSeed)
	for _, d := range []string{filepath.Join(dir, "run"), filepath.Join(dir, "baker"), filepath.Join(p.dir, "stick")} {
		require.NoError(p.t, os.MkdirAll(d, 0o700))
	}
	for name, text := range map[string]string{
		m.config: text,
		filepath.Join(dir, "baker", "NetXnHfVqm9ie_stateful_nonces"): "[]",
		filepath.Join(dir, "baker", "NetXnHfVqm9ie_highwatermarks"): fmt.Sprintf(
			`{"blocks":[],"preattestations":[],"attestations":[{"delegate":%q,"highwatermark":{"round":0,"level":7999990}}]}`,
			key),
	} {
		require.NoError(p.t, os.WriteFile(name, []byte(text), 0o600))
	}
}

// bake asks a machine for its preattestation and its attestation of each head until it has them. The two bakers
// disagree about everything, so that two signatures for one level are always a double.
func (p *page) bake(ctx context.Context, m *machine, key *tezos.PublicKey, chain tezos.ChainID) {
	c := baker.New("http://"+m.listen, false)
	defer c.Close()
	kinds := []tezos.Kind{tezos.Preattestation, tezos.Attestation}
	tick := time.NewTicker(p.blocks / 6)
	defer tick.Stop()
	for level, done := int32(0), 0; ; {
		if head := p.sim.Head().Level; head != level {
			level, done = head, 0
		}
		for ; done < len(kinds); done++ {
			payload := baker.Step{Chain: chain, Kind: kinds[done], Level: level, Variant: m.name[0]}.Payload(key.Curve())
			sig, err := c.Sign(ctx, key, payload)
			if err != nil {
				break // refused, or nobody there
			}
			if _, err = p.judge.Note(key.Hash(), payload, sig); err == nil {
				err = p.sim.Note(key.Hash(), payload, sig)
			}
			if err != nil {
				p.t.Error(err)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// give does a command on a machine and gives what it printed, in the page's names.
func (p *page) give(m *machine, command string) string {
	p.t.Helper()
	switch command {
	case "systemctl enable --now highwater", "systemctl start highwater":
		p.start(m)
		return ""
	case "systemctl enable --now etcd":
		m.etcd.start(p.t)
		return ""
	case "systemctl stop highwater", "systemctl disable --now highwater":
		p.halt(m, (*harness.Process).Stop)
		return ""
	case "systemctl kill -s KILL highwater":
		p.halt(m, (*harness.Process).Kill)
		return ""
	}
	got := p.run(m, command)
	if m.key == "" {
		if found := instanceField.FindStringSubmatch(p.run(m, "highwater peer show --json")); found != nil {
			m.key = found[1]
		}
	}
	return p.toPage(m, got)
}

var instanceField = regexp.MustCompile(`"instance": "([0-9a-f]{64})"`)

// start returns when the machine's devices are ready; whether it signs is the page's to say.
func (p *page) start(m *machine) {
	require.Nil(p.t, m.daemon, "%s serves already", m.name)
	c := exec.Command("highwater", "serve") //nolint:noctx // ended by halt
	c.Env = p.env(m)
	var err error
	m.daemon, err = harness.Launch(filepath.Join(p.dir, m.name, "log"), c)
	require.NoError(p.t, err)
	// Without the socket, a command would open the state itself, and be in the daemon's way.
	require.NoError(p.t, m.daemon.Await(p.t.Context(), func(context.Context) bool {
		c, err := net.Dial("unix", filepath.Join(p.dir, m.name, "run", "admin.sock")) //nolint:noctx // bounded by Await
		return err == nil && c.Close() == nil
	}))
	ready := func() bool { return strings.Contains(p.run(m, "highwater keys list"), "ready") }
	require.Eventually(p.t, ready, scriptPatience, 20*time.Millisecond)
}

func (p *page) halt(m *machine, end func(*harness.Process) error) {
	if m.daemon != nil {
		require.NoError(p.t, end(m.daemon))
		m.daemon = nil
	}
}

func (p *page) env(m *machine) []string {
	return append(append(os.Environ(), m.etcd.env()...), config.Env+"="+m.config, "NO_COLOR=1", "HOME="+p.dir, "GORACE=atexit_sleep_ms=10")
}

var (
	// asks are commands that ask a person at a terminal: here nobody is at one.
	asks = regexp.MustCompile(`^(highwater (?:init|register init|activate|standby|handover|release|accept|takeover|drill --handover)\b[^|#&]*)`)
	sure = regexp.MustCompile(`--(yes|dry-run|check)\b`)
	// cutAt is the level of a switch by level. The page names one that is not far; so is what is put in its place.
	cutAt = regexp.MustCompile(`--at 8[0-9]{6}\b`)
)

func (p *page) run(m *machine, command string) string {
	if !sure.MatchString(command) {
		command = asks.ReplaceAllString(command, "$1 --yes ")
	}
	command = cutAt.ReplaceAllString(command, fmt.Sprintf("--at %d", p.sim.Head().Level+6))
	pairs := []string{
		"/media/stick", filepath.Join(p.dir, "stick"), "/home/tezos/.tezos-client",
		filepath.Join(p.dir, m.name, "baker"),
	}
	for _, other := range p.machines {
		pairs = append(pairs, other.address, other.peer, other.shortKey+"…", other.key)
	}
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-c", strings.NewReplacer(pairs...).Replace(command))
	c.Env, c.Dir = p.env(m), p.dir
	out, _ := c.CombinedOutput() // what it says is compared
	return string(out)
}

// toPage gives what was printed the names that the page uses.
func (p *page) toPage(m *machine, text string) string {
	pairs := []string{
		m.state, "/var/lib/highwater", m.config, "/etc/highwater/highwater.toml", filepath.Join(p.dir, "stick"),
		"/media/stick",
		m.listen, "127.0.0.1:6732", filepath.Join(p.dir, m.name, "baker"), "/home/tezos/.tezos-client",
	}
	for _, other := range p.machines {
		pairs = append(pairs, other.peer, other.address)
		if other.etcd != nil {
			pairs = append(pairs, other.etcd.listen, other.etcd.address,
				filepath.Join(other.etcd.dir, "ca.pem"), "/etc/highwater/register-ca.pem",
				filepath.Join(other.etcd.dir, "register"), "/etc/highwater/register")
		}
		if other.key != "" {
			pairs = append(pairs, other.key, other.shortKey+"…", other.key[:8], other.shortKey)
		}
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
