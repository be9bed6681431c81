//go:build powercut

package powercut_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/test/harness"
)

// patience is how long a process may take to become ready, or to end.
const patience = 60 * time.Second

// chain is no chain that exists.
var chain = tezos.ChainID{'c', 'u', 't', '!'}

// firstFloor is where the marks start.
const firstFloor = 1000

// signer is what is cut off: the program, or a control.
type signer interface {
	start()
	kill()
	powerGoes()
}

// process is a signer under test: the program, or a control.
type process struct {
	t       *testing.T
	command func() *exec.Cmd
	base    string // of the octez endpoints
	ready   string // the URL that answers 200 once the signer can sign
	log     string // file

	run *harness.Process // nil: not running
}

// start starts the signer, and waits until it can sign.
func (p *process) start() {
	p.t.Helper()
	p.launch()
	var body string
	err := p.run.Await(p.t.Context(), func(context.Context) bool {
		var status int
		status, body = p.get(p.ready)
		return status == http.StatusOK
	})
	if err != nil {
		p.kill()
	}
	require.NoError(p.t, err, "the signer does not become ready: %s", body)
}

func (p *process) launch() {
	p.t.Helper()
	var err error
	p.run, err = harness.Launch(p.log, p.command())
	require.NoError(p.t, err)
}

// output is the output of the last run.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	require.NoError(p.t, err)
	return string(text)
}

// refused starts the signer, wants an end with an error, and gives the output.
func (p *process) refused() string {
	p.t.Helper()
	p.launch()
	p.endsWith(1, exitDisk)
	return p.output()
}

func (p *process) kill() {
	if p.run != nil {
		_ = p.run.EndAnyhow() // the process may have ended
		p.run = nil
	}
}

// powerGoes ends a process without anything in memory.
func (p *process) powerGoes() { p.kill() }

// stop ends the process in order.
func (p *process) stop() error {
	p.t.Helper()
	err := p.run.Stop()
	p.run = nil
	return err
}

// get asks for a page; 0 when nobody answers.
func (p *process) get(url string) (status int, body string) {
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, http.NoBody)
	require.NoError(p.t, err)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body) // what there is of it
	return resp.StatusCode, string(b)
}

// endsWith waits until the process has ended by itself, with one of these statuses.
func (p *process) endsWith(statuses ...int) {
	p.t.Helper()
	err := p.run.AwaitExit(p.t.Context(), statuses...)
	p.kill()
	require.NoError(p.t, err)
}

// notReady gives the reasons for which /readyz says no.
func (p *process) notReady() string {
	p.t.Helper()
	status, body := p.get(p.ready)
	require.Equal(p.t, http.StatusServiceUnavailable, status, body)
	var v struct{ Reasons []string }
	require.NoError(p.t, json.Unmarshal([]byte(body), &v))
	return strings.Join(v.Reasons, "\n")
}

// highwater is the program with a configuration.
type highwater struct {
	process
	binary  string
	config  string
	state   string
	runtime string // a tmpfs of its own
	ahead   int32
	text    func() string // of the configuration
}

const head = `state_dir = %q
chain = %q
[server]
listen = %q
known_keys = true
[admin]
socket = %q
[monitor]
listen = %q
[store]
ahead = %d
runtime_dir = %q
`

// The emulated devices lose their marks when the program ends, so only the watermark file protects. One key each.
const devices = `
[[device]]
name = "tz1"
kind = "ledger"
transport = "sim"
sim = {curves = ["ed25519"]}
[[device]]
name = "tz2"
kind = "ledger"
transport = "sim"
sim = {curves = ["secp256k1"]}
[[device]]
name = "tz3"
kind = "ledger"
transport = "sim"
sim = {curves = ["P-256"]}
[[device]]
name = "tz4"
kind = "tezsign"
transport = "sim"
sim = {keys = ["consensus"]}
`

// newHighwater writes a configuration with the state in a directory on a disk. The rest lies elsewhere.
func newHighwater(t *testing.T, state, devices string) *highwater {
	t.Helper()
	dir, octez, monitor := t.TempDir(), harness.Address(t), harness.Address(t)
	h := &highwater{
		binary: binary, config: filepath.Join(dir, "highwater.toml"), state: state, runtime: filepath.Join(dir, "run"),
		ahead: defaultAhead,
	}
	h.process = process{
		t: t, base: "http://" + octez, ready: "http://" + monitor + "/readyz",
		command: func() *exec.Cmd { return h.cmdline("serve") }, log: filepath.Join(dir, "log"),
	}
	h.text = func() string {
		return fmt.Sprintf(head, state, chain, octez, filepath.Join(dir, "admin.sock"), monitor, h.ahead, h.runtime) + devices
	}
	require.NoError(t, os.Mkdir(h.runtime, 0o700))
	run(t, "mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", h.runtime)
	t.Cleanup(func() { run(t, "umount", h.runtime) })
	h.setAhead(defaultAhead)
	t.Cleanup(h.kill)
	return h
}

// defaultAhead is the program's own.
const defaultAhead = 2

// setAhead makes the next start that of a program with so many levels ahead.
func (h *highwater) setAhead(levels int32) {
	h.t.Helper()
	h.ahead = levels
	require.NoError(h.t, os.WriteFile(h.config, []byte(h.text()), 0o600))
}

// powerGoes is the end of the process with all that is in memory: the runtime directory is empty afterwards.
func (h *highwater) powerGoes() {
	h.t.Helper()
	h.kill()
	run(h.t, "umount", h.runtime)
	run(h.t, "mount", "-t", "tmpfs", "-o", "mode=0700", "tmpfs", h.runtime)
}

func (h *highwater) cmdline(args ...string) *exec.Cmd {
	return command(h.binary, append(args, "--config", h.config)...)
}

// do runs a command of the program, which must succeed.
func (h *highwater) do(args ...string) {
	h.t.Helper()
	out, err := h.cmdline(args...).CombinedOutput()
	require.NoError(h.t, err, "highwater %s: %s", strings.Join(args, " "), out)
}

// setUp makes the watermark file and activates, as an operator does.
func (h *highwater) setUp() {
	h.t.Helper()
	h.do("init", "--yes")
	h.do("activate", "--yes", "--level", fmt.Sprint(firstFloor))
}

// marks is the watermark file.
func (h *highwater) marks() string { return filepath.Join(h.state, "marks.db") }
