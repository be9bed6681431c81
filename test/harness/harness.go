// Package harness runs the real program as an operator does: it writes a configuration, makes the watermark file, activates, serves,
// waits, and ends it one way or the other. The suites that kill and soak it share this.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"highwater/api"
	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// Chain is no chain that exists.
var Chain = tezos.ChainID{'t', 'e', 's', 't'}

// StartLevel is where all marks are before the first request.
const StartLevel = 1000

// KeyCount is how many keys the devices below hold: tz1 twice, tz2, tz3, and four tz4.
const KeyCount = 8

// The devices live in the daemon's process: what they know of their own marks is gone with it, as it is for a Ledger whose setting is
// off. The clients that may ask are authenticated, as octez offers it.
const configuration = `state_dir = %q
chain = %q
[server]
listen = %q
authorized_keys = [%q]
known_keys = true
[admin]
socket = %q
[monitor]
listen = %q
[[device]]
name = "ledger"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "worth nothing"
curves = ["ed25519", "secp256k1", "P-256", "bip25519"]
latency = "1ms"
[[device]]
name = "left"
kind = "tezsign"
serial = "left"
transport = "sim"
[device.sim]
keys = ["consensus-1", "consensus-2"]
latency = "1ms"
[[device]]
name = "right"
kind = "tezsign"
serial = "right"
transport = "sim"
[device.sim]
keys = ["consensus-3", "consensus-4"]
latency = "1ms"
`

// Daemon is the program with its state directory; it may run, or not.
type Daemon struct {
	Dir     string // of everything below
	Log     string // of all runs, one after the other
	Monitor string // URL
	octez   string
	binary  string
	config  string
	auth    *softkey.Key

	cmd   *exec.Cmd
	ended chan error
	asked atomic.Bool // this run was told to end
}

// loopback is an address that no outgoing connection has: with 127.0.0.1 one of them could be given the daemon's port while the
// daemon is down.
const loopback = "127.0.0.2"

// New writes the configuration, makes the watermark file, sets the marks and activates; the daemon is not started.
func New(ctx context.Context, binary, dir string) (*Daemon, error) {
	auth, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{7}, softkey.MinSeed))
	if err != nil {
		return nil, err
	}
	octez, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	monitor, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		Dir: dir, Log: filepath.Join(dir, "log"), Monitor: "http://" + monitor, octez: "http://" + octez, binary: binary,
		config: filepath.Join(dir, "highwater.toml"), auth: auth,
	}
	text := fmt.Sprintf(configuration, filepath.Join(dir, "state"), Chain, octez, auth.PublicKey(), d.socket(), monitor)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "--yes"}, {"activate", "--yes", "--level", strconv.Itoa(StartLevel)}} {
		out, err := exec.CommandContext(ctx, binary, append(args, "--config", d.config)...).CombinedOutput() //nolint:gosec // ours
		if err != nil {
			return nil, fmt.Errorf("highwater %s: %w: %s", args[0], err, out)
		}
	}
	return d, nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback+":0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (d *Daemon) socket() string { return filepath.Join(d.Dir, "admin.sock") }

// Marks is the watermark file.
func (d *Daemon) Marks() string { return filepath.Join(d.Dir, "state", "marks.db") }

// slowDisk is what a command is started with to have each of its syncs wait first. strace detaches itself (-D): the process that
// is started is the command's own.
func slowDisk(wait time.Duration) []string {
	return []string{
		"strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
		"-e", fmt.Sprintf("inject=fsync,fdatasync:delay_enter=%d", wait.Microseconds()),
	}
}

// Start starts the process, and waits for nothing. With slowSync, which needs strace, every sync takes that much longer: SIGKILL
// forgets nothing that was written, but then it comes before much of it is.
func (d *Daemon) Start(slowSync time.Duration) error {
	log, err := os.OpenFile(d.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has it
	args := []string{d.binary, "serve", "--config", d.config}
	if slowSync > 0 {
		args = append(slowDisk(slowSync), args...)
	}
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // ours; Kill or Stop end it
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	d.cmd, d.ended = cmd, ended
	d.asked.Store(false)
	return nil
}

// Kill ends the process as SIGKILL does, and waits until it is gone. ToldToEnd is true from before the signal on.
func (d *Daemon) Kill() error {
	d.asked.Store(true)
	err := d.cmd.Process.Kill()
	var exit *exec.ExitError
	if end := <-d.ended; !errors.As(end, &exit) || exit.ExitCode() != -1 {
		return errors.Join(err, fmt.Errorf("it ended before it was killed: %w%s", end, d.lastWords()))
	}
	return err
}

// ToldToEnd tells whether a client that lost its connection should wonder.
func (d *Daemon) ToldToEnd() bool { return d.asked.Load() }

// Stop ends the process in order.
func (d *Daemon) Stop() error {
	d.asked.Store(true)
	if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return <-d.ended
}

// lastWords are the end of the log, for an error.
func (d *Daemon) lastWords() string {
	text, err := os.ReadFile(d.Log)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return "\n" + strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// Get asks the monitor.
func (d *Daemon) Get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Monitor+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Close = true // a connection of its own: none is left when the daemon is gone
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	return io.ReadAll(resp.Body)
}

// AwaitUp waits until the daemon answers and all devices and keys are ready, whatever its role, and gives its status.
func (d *Daemon) AwaitUp(ctx context.Context) (api.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for {
		var st api.Status
		body, err := d.Get(ctx, "/status")
		if err == nil && json.Unmarshal(body, &st) == nil && up(st) {
			return st, nil
		}
		select {
		case err := <-d.ended:
			d.ended <- err
			return st, fmt.Errorf("it ended before it was ready: %w%s", err, d.lastWords())
		case <-ctx.Done():
			return st, fmt.Errorf("it is not ready within a minute: %v%s", st.NotReady, d.lastWords())
		case <-tick.C:
		}
	}
}

func up(st api.Status) bool {
	for _, d := range st.Devices {
		if d.Health != device.Ready || d.Keys == 0 {
			return false
		}
	}
	return len(st.Keys) == KeyCount
}

// Metrics gives the numbers of /metrics, each summed over its labels.
func (d *Daemon) Metrics(ctx context.Context) (map[string]float64, error) {
	page, err := d.Get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	out := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(line[cut+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("not a metric: %q: %w", line, err)
		}
		name, _, _ := strings.Cut(line[:max(cut, 0)], "{")
		out[name] += v
	}
	return out, nil
}

// Client is a baker's, with the key that may ask. It opens a connection for each request, as octez does, or keeps them.
func (d *Daemon) Client(keep bool) *baker.Client {
	c := baker.New(d.octez, keep)
	c.Auth = d.auth
	return c
}

// Admin is the operator's.
func (d *Daemon) Admin(ctx context.Context) (*api.Client, error) { return api.Dial(ctx, d.socket()) }

// Keys asks for all keys, as a client does.
func (d *Daemon) Keys(ctx context.Context) ([]*tezos.PublicKey, error) {
	client := d.Client(false)
	defer client.Close()
	hashes, err := client.KnownKeys(ctx)
	if err != nil {
		return nil, err
	}
	var keys []*tezos.PublicKey
	for _, pkh := range hashes {
		key, err := client.PublicKey(ctx, pkh)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) != KeyCount {
		return nil, fmt.Errorf("%d keys, not %d", len(keys), KeyCount)
	}
	return keys, nil
}
