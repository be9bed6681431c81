package cmd

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/audit"
	"highwater/internal/baker"
	"highwater/internal/certs/certstest"
	"highwater/internal/tezos"
	"highwater/test/harness"
)

// TestRegisterPage does what docs/register.md says, in its order, as TestFailoverPage does for its page: on three
// machines with a member of a real etcd on each. The files of etcd and of Highwater are those of the page.
func TestRegisterPage(t *testing.T) {
	_, err := exec.LookPath("etcd")
	require.NoError(t, err, "this test needs etcd: scripts/install-deps.sh etcd etcdctl")
	text, err := os.ReadFile("../docs/register.md")
	require.NoError(t, err)
	steps := shownSteps(string(text))
	require.Greater(t, len(steps), 30, "commands on the page")
	p := newRegisterPage(t, string(text))
	for _, s := range steps {
		p.do(s)
	}
	p.stop()
	require.Empty(t, p.judge.Doubles())
	require.Positive(t, p.judge.Signed())
	p.headsHold()
}

// headsHold verifies the audit log of each machine with the heads that the next owners heard through the register.
func (p *page) headsHold() {
	heard := 0
	for _, m := range p.machines {
		for line := range strings.Lines(p.run(m, "highwater audit export")) {
			var row audit.Row
			require.NoError(p.t, json.Unmarshal([]byte(line), &row), line)
			if e := row.Event; e == nil || e.What != audit.Heard || !strings.HasSuffix(e.Why, "in the register") {
				continue
			}
			for _, of := range p.machines {
				if of.key == row.Event.Peer {
					told := p.run(of, "highwater audit verify --head "+row.Event.Head.String())
					require.Contains(p.t, told, "the log has the record")
					heard++
				}
			}
		}
	}
	require.Positive(p.t, heard)
}

// etcdMember is the etcd of a machine.
type etcdMember struct {
	address, listen string // for clients, on the page and here
	toOthers        string // for the members
	dir             string
	settings        []string // of /etc/default/etcd
	process         *harness.Process
}

// newRegisterPage makes three machines: each block of the page's files, with the addresses of the test.
func newRegisterPage(t *testing.T, text string) *page {
	p := &page{t: t, file: "docs/register.md", blocks: 500 * time.Millisecond, dir: t.TempDir(), judge: baker.NewJudge()}
	p.machines = map[string]*machine{}
	ca := certstest.New(t, "register")
	for i, name := range []string{"A", "B", "C"} {
		dir := filepath.Join(p.dir, "etcd-"+name)
		require.NoError(t, os.Mkdir(dir, 0o700))
		certstest.Put(t, filepath.Join(dir, "ca.pem"), certstest.CertPEM(ca.Cert))
		for file, user := range map[string]string{"server": "etcd", "root": "root", "register": "bakery-" + strings.ToLower(name)} {
			c := ca.Issue(user, time.Now().AddDate(1, 0, 0))
			certstest.Put(t, filepath.Join(dir, file+".pem"), certstest.CertPEM(c))
			certstest.Put(t, filepath.Join(dir, file+"-key.pem"), certstest.KeyPEM(t, c))
		}
		p.machines[name] = &machine{
			name: name, address: fmt.Sprintf("10.0.0.%d:6734", i+1),
			shortKey: []string{"eae7f387", "f9294f53", "0cb12b3e"}[i],
			etcd: &etcdMember{
				dir: dir, address: fmt.Sprintf("10.0.0.%d:2379", i+1), listen: harness.Address(t), toOthers: harness.Address(t),
			},
		}
	}
	for i, name := range []string{"A", "B", "C"} {
		p.machines[name].etcd.settings = p.etcdSettings(text, i, name)
	}
	p.begin(func(m *machine, node string, key tezos.PublicKeyHash) {
		p.prepare(m, node, key)
		p.share(m, text, node)
	})
	return p
}

// block is the content of the page's first block of a language.
func block(t *testing.T, page, language string) string {
	t.Helper()
	_, rest, found := strings.Cut(page, "```"+language+"\n")
	require.True(t, found, "a block of %s on the page", language)
	out, _, _ := strings.Cut(rest, "```")
	return out
}

// here gives a text of the page the addresses and directories of the test.
func (p *page) here(m *machine, text string) string {
	pairs := []string{"/etc/highwater/register", filepath.Join(m.etcd.dir, "register"), "/etc/etcd", m.etcd.dir}
	for i, name := range []string{"A", "B", "C"} {
		e := p.machines[name].etcd
		pairs = append(pairs, fmt.Sprintf("10.0.0.%d:2379", i+1), e.listen, fmt.Sprintf("10.0.0.%d:2380", i+1), e.toOthers)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// etcdSettings are the page's settings for A, as a machine has them: its own name and address in all lines but that of
// the whole cluster.
func (p *page) etcdSettings(text string, i int, name string) (out []string) {
	for line := range strings.Lines(block(p.t, text, "sh")) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "ETCD_INITIAL_CLUSTER=") {
			line = strings.NewReplacer("10.0.0.1", fmt.Sprintf("10.0.0.%d", i+1), "ETCD_NAME=a", "ETCD_NAME="+strings.ToLower(name)).
				Replace(line)
		}
		out = append(out, p.here(p.machines[name], strings.ReplaceAll(line, `"`, "")))
	}
	return out
}

// share takes the pair out of a machine's configuration, and the register of the page in.
func (p *page) share(m *machine, text, node string) {
	own, err := os.ReadFile(m.config)
	require.NoError(p.t, err)
	own = regexp.MustCompile(`(?s)\[peer\]\n.*?\n(\[)`).ReplaceAll(own, []byte("$1"))
	_, shared, found := strings.Cut(block(p.t, text, "toml"), "[register]\n")
	require.True(p.t, found, "[register] on the page")
	shared = strings.Replace(shared, "priority = 0", fmt.Sprintf("priority = %d", m.name[0]-'A'), 1)
	shared = strings.ReplaceAll(shared, "/etc/highwater/register-ca.pem", "/etc/etcd/ca.pem")
	require.NoError(p.t, os.WriteFile(m.config, append(own, "[register]\n"+p.here(m, shared)...), 0o600))
	require.Contains(p.t, string(own), node)
}

func (e *etcdMember) start(t *testing.T) {
	t.Helper()
	c := exec.Command("etcd") //nolint:noctx // ended by end
	c.Env = append(os.Environ(), append(e.settings, "ETCD_DATA_DIR="+filepath.Join(e.dir, "data"))...)
	var err error
	e.process, err = harness.Launch(filepath.Join(e.dir, "log"), c)
	require.NoError(t, err)
}

func (e *etcdMember) end(t *testing.T) {
	t.Helper()
	if e != nil && e.process != nil {
		require.NoError(t, e.process.Kill())
		e.process = nil
	}
}

// env is what etcdctl needs to be the operator's.
func (e *etcdMember) env() []string {
	if e == nil {
		return nil
	}
	return []string{
		"ETCDCTL_API=3", "ETCDCTL_ENDPOINTS=https://" + e.listen, "ETCDCTL_CACERT=" + filepath.Join(e.dir, "ca.pem"),
		"ETCDCTL_CERT=" + filepath.Join(e.dir, "root.pem"), "ETCDCTL_KEY=" + filepath.Join(e.dir, "root-key.pem"),
	}
}
