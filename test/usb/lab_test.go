//go:build usblab

// Package usb_test is what runs in the laboratory's virtual machine: the real program, emulated devices behind the
// kernel's own USB stack, and a baker that asks over HTTP. See test.sh.
package usb_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/test/harness"
	"highwater/test/usb/gadget"
)

// patience is how long anything is waited for. The machine is emulated, several times slower than a real one, and
// shares its host.
const patience = 60 * time.Second

// chain is no chain that exists.
var chain = tezos.ChainID{'u', 's', 'b', '!'}

// bin is where test.sh put the programs.
func bin(name string) string { return filepath.Join(os.Getenv("LAB_BIN"), name) }

// emulated is a running gadget program.
type emulated struct {
	t       *testing.T
	name    string
	stdin   io.WriteCloser
	process *harness.Process

	mu     sync.Mutex
	events []gadget.Event
	next   chan struct{} // closed at each event, and replaced
}

// number makes names unique: configfs remembers them.
var number int

// start runs a gadget program; it is not plugged in.
func start(t *testing.T, program string, args ...string) *emulated {
	t.Helper()
	number++
	name := fmt.Sprintf("%s%d", program, number)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), bin(program),
		append([]string{"-name", name}, args...)...)
	// A signal would interrupt a transfer half way; the scheduler's are not needed.
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	events, stdout := io.Pipe()
	cmd.Stdout = stdout
	d := &emulated{t: t, name: name, stdin: stdin, next: make(chan struct{})}
	d.process, err = harness.Launch(filepath.Join(t.TempDir(), "log"), cmd)
	require.NoError(t, err)
	read := make(chan struct{})
	go func() {
		defer close(read)
		d.read(events)
	}()
	t.Cleanup(func() {
		_ = d.process.EndAnyhow()
		_ = stdout.Close()
		<-read
		if t.Failed() {
			t.Logf("%s: %v\n%s", name, d.all(), d.process.Output())
		}
	})
	d.wait("ready", "")
	return d
}

func (d *emulated) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var e gadget.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = gadget.Event{Event: "garbage", Text: lines.Text()}
		}
		d.mu.Lock()
		d.events = append(d.events, e)
		close(d.next)
		d.next = make(chan struct{})
		d.mu.Unlock()
	}
}

func (d *emulated) all() []gadget.Event {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]gadget.Event(nil), d.events...)
}

// wait takes the next event of a kind whose text begins like that, and drops those before it.
func (d *emulated) wait(event, prefix string) string {
	d.t.Helper()
	deadline := time.After(patience)
	for {
		d.mu.Lock()
		next := d.next
		for i, e := range d.events {
			if e.Event == "failed" && event != "failed" {
				d.mu.Unlock()
				require.Fail(d.t, "the gadget failed", "%s: %s", d.name, e.Text)
			}
			if e.Event == event && strings.HasPrefix(e.Text, prefix) {
				d.events = d.events[i+1:]
				d.mu.Unlock()
				return e.Text
			}
		}
		d.mu.Unlock()
		select {
		case <-next:
		case <-deadline:
			require.Fail(d.t, "an event did not come", "%s: %s %q; there were %v\n%s", d.name, event, prefix, d.all(),
				d.process.Output())
		}
	}
}

// do gives a command and waits until it is done.
func (d *emulated) do(command string) {
	d.t.Helper()
	_, err := io.WriteString(d.stdin, command+"\n")
	require.NoError(d.t, err)
	d.wait("done", command)
}

func (d *emulated) plug()   { d.t.Helper(); d.do("plug") }
func (d *emulated) unplug() { d.t.Helper(); d.do("unplug") }

// signerProcess is a running `highwater serve`.
type signerProcess struct {
	t       *testing.T
	config  string
	address string
	user    *syscall.Credential
	process *harness.Process

	client *baker.Client
	judge  *baker.Judge
}

const configHead = `state_dir = %q
chain = %q
[server]
listen = %q
known_keys = true
budget = %q
`

// budget is generous: everything is slower here.
const budget = 20 * time.Second

// prepare makes a state directory and a configuration with these devices; nothing runs yet.
func prepare(t *testing.T, devices string, user *syscall.Credential) *signerProcess {
	t.Helper()
	return prepareBudget(t, devices, user, budget)
}

func prepareBudget(t *testing.T, devices string, user *syscall.Credential, budget time.Duration) *signerProcess {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "signer-")
	require.NoError(t, err)
	s := &signerProcess{
		t: t, config: filepath.Join(dir, "highwater.toml"), address: harness.Address(t), user: user,
		judge: baker.NewJudge(),
	}
	text := fmt.Sprintf(configHead, filepath.Join(dir, "state"), chain, s.address, budget) + devices
	require.NoError(t, os.WriteFile(s.config, []byte(text), 0o644))
	if user != nil {
		require.NoError(t, os.Chown(dir, int(user.Uid), int(user.Gid)))
	}
	s.run("init", "--store-only", "--yes")
	s.client = baker.New("http://"+s.address, false)
	t.Cleanup(func() { require.Empty(t, s.judge.Doubles()) })
	return s
}

func (s *signerProcess) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), bin("highwater"),
		append(args, "--config", s.config)...)
	if s.user != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.user}
	}
	return cmd
}

// run runs another highwater command to its end.
func (s *signerProcess) run(args ...string) {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	require.NoError(s.t, err, "highwater %v: %s", args, out)
}

// serve starts the daemon and waits for its listeners.
func (s *signerProcess) serve() { s.t.Helper(); s.serveAt("debug") }

// serveAt is serve with a log of a level: debug lines cost time.
func (s *signerProcess) serveAt(level string) {
	s.t.Helper()
	log := filepath.Join(filepath.Dir(s.config), "log")
	process, err := harness.Launch(log, s.command("serve", "--log-level", level))
	require.NoError(s.t, err)
	s.process = process
	s.t.Cleanup(func() {
		_ = process.EndAnyhow()
		if s.t.Failed() || os.Getenv("LAB_LOG") != "" {
			s.t.Logf("highwater serve:\n%s", tail(process.Output(), 200))
		}
	})
	require.NoError(s.t, process.Await(s.t.Context(), func(context.Context) bool {
		return strings.Contains(process.Output(), "msg=started")
	}))
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// stop ends the daemon as systemd would, and gives the time until its end.
func (s *signerProcess) stop() time.Duration {
	s.t.Helper()
	began := time.Now()
	require.NoError(s.t, s.process.Stop())
	return time.Since(began)
}

// until waits for a condition.
func (s *signerProcess) until(what string, ok func() bool) time.Duration {
	s.t.Helper()
	began := time.Now()
	require.Eventually(s.t, ok, patience, 20*time.Millisecond, what)
	return time.Since(began)
}

// admin is a client of the running signer's admin socket.
func (s *signerProcess) admin() (*api.Client, error) {
	return api.Dial(context.Background(), filepath.Join(filepath.Dir(s.config), "state", "admin.sock"))
}

// marked tells whether the running signer's mark for attestations of a key has reached a level.
func (s *signerProcess) marked(key *tezos.PublicKey, level int32) bool {
	s.t.Helper()
	client, err := s.admin()
	require.NoError(s.t, err)
	marks, err := client.Marks(context.Background())
	require.NoError(s.t, err)
	for _, m := range marks {
		if m.PKH == key.Hash() && m.Kind == tezos.Attestation {
			return m.Level != nil && *m.Level >= level
		}
	}
	require.Fail(s.t, "no mark", "%s: %v", key.Hash(), marks)
	return false
}

// states are the devices as `highwater status` shows them, by name.
func (s *signerProcess) states() map[string]operate.DeviceRow {
	out := map[string]operate.DeviceRow{}
	client, err := s.admin()
	if err != nil {
		return out
	}
	status, err := client.Status(context.Background())
	if err != nil {
		return out
	}
	for _, d := range status.Devices {
		out[d.Name] = d
	}
	return out
}

// health waits until a device has a health, and gives the time that took.
func (s *signerProcess) health(name string, health device.Health) time.Duration {
	s.t.Helper()
	return s.until(name+" is "+string(health), func() bool { return s.states()[name].Health == health })
}

// keys waits until the signer has so many keys.
func (s *signerProcess) keys(n int) []*tezos.PublicKey {
	s.t.Helper()
	var keys []tezos.PublicKeyHash
	s.until("all keys are there", func() bool {
		var err error
		keys, err = s.client.KnownKeys(context.Background())
		return err == nil && len(keys) == n
	})
	out := make([]*tezos.PublicKey, 0, n)
	for _, k := range keys {
		pub, err := s.client.PublicKey(context.Background(), k)
		require.NoError(s.t, err)
		out = append(out, pub)
	}
	return out
}

// activate lets it sign above level 1000.
func (s *signerProcess) activate() {
	s.t.Helper()
	s.run("activate", "--yes", "--level", "1000")
}

// sign asks for an attestation and hands what comes to the judge.
func (s *signerProcess) sign(key *tezos.PublicKey, level int32, variant byte) error {
	payload := baker.Step{Chain: chain, Kind: tezos.Attestation, Level: level, Variant: variant}.Payload(key.Curve())
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	sig, err := s.client.SignOnly(ctx, key, payload)
	if err != nil {
		return err
	}
	_, err = s.judge.Note(key.Hash(), payload, sig)
	return err
}
