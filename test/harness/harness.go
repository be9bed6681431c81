// Package harness runs the real program as an operator does: it writes a configuration, makes the watermark file, activates, serves,
// waits, and ends it one way or the other. The suites that kill it, soak it and pair it share this.
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
	"slices"
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

// Host is where a daemon runs. The zero value is this machine as it is.
type Host struct {
	// Dial connects as a program that runs there does; nil: as this one does.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Start starts a process there; nil: here.
	Start func(cmd *exec.Cmd) error
}

// Options are what a daemon is made of.
type Options struct {
	Host
	Binary  string       // the program
	Dir     string       // for everything
	Config  string       // the text of its configuration; its admin socket is Dir/admin.sock
	Octez   string       // HOST:PORT of its octez endpoints
	Monitor string       // HOST:PORT of its monitor
	Auth    *softkey.Key // signs its clients' requests; nil: nobody has to
	Keys    int          // that its devices hold
}

// Daemon is the program with its state directory; it may run, or not.
type Daemon struct {
	Dir     string   // of everything below
	Log     string   // of all runs, one after the other
	Monitor string   // URL
	Env     []string // of its processes, besides our own
	octez   string
	binary  string
	config  string
	auth    *softkey.Key
	keys    int
	host    Host
	http    *http.Client

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
	d, err := Make(Options{
		Binary: binary, Dir: dir, Octez: octez, Monitor: monitor, Auth: auth, Keys: KeyCount,
		Config: fmt.Sprintf(configuration, filepath.Join(dir, "state"), Chain, octez, auth.PublicKey(), Socket(dir), monitor),
	})
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{{"init", "--yes"}, {"activate", "--yes", "--level", strconv.Itoa(StartLevel)}} {
		if _, err := d.Command(ctx, args...); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Make writes the configuration, and does nothing else.
func Make(opt Options) (*Daemon, error) {
	if opt.Dial == nil {
		opt.Dial = (&net.Dialer{}).DialContext
	}
	if opt.Start == nil {
		opt.Start = (*exec.Cmd).Start
	}
	d := &Daemon{
		Dir: opt.Dir, Log: filepath.Join(opt.Dir, "log"), Monitor: "http://" + opt.Monitor, octez: "http://" + opt.Octez, binary: opt.Binary,
		config: filepath.Join(opt.Dir, "highwater.toml"), auth: opt.Auth, keys: opt.Keys, host: opt.Host,
		http: &http.Client{Transport: &http.Transport{DialContext: opt.Dial, DisableKeepAlives: true}},
	}
	return d, os.WriteFile(d.config, []byte(opt.Config), 0o600)
}

// Command runs the program with a command, as an operator does, and gives its standard output. The error carries what it said.
func (d *Daemon) Command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.binary, append(args, "--config", d.config)...) //nolint:gosec // ours
	cmd.Env = append(os.Environ(), d.Env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("highwater %s: %w: %s%s", args[0], err, said.Bytes(), out.Bytes())
	}
	return out.Bytes(), nil
}

func freeAddress(ctx context.Context) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback+":0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// Socket is the admin socket of a daemon in a directory.
func Socket(dir string) string { return filepath.Join(dir, "admin.sock") }

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

// Start starts the process, and waits for nothing but the start. With slowSync, which needs strace, every sync takes that much longer: SIGKILL
// forgets nothing that was written, but then it comes before much of it is.
func (d *Daemon) Start(slowSync time.Duration) error {
	if slowSync > 0 {
		return d.StartUnder(slowDisk(slowSync)...)
	}
	return d.StartUnder()
}

// StartUnder starts the process by another command, which becomes it.
func (d *Daemon) StartUnder(command ...string) error {
	log, err := os.OpenFile(d.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the process has it
	args := slices.Concat(command, []string{d.binary, "serve", "--config", d.config})
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // ours; Kill or Stop end it
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), d.Env...), log, log
	if err := d.host.Start(cmd); err != nil {
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
	return errors.Join(err, d.killed(<-d.ended))
}

// killed wants a process to have ended by a signal.
func (d *Daemon) killed(end error) error {
	var exit *exec.ExitError
	if !errors.As(end, &exit) || exit.ExitCode() != -1 {
		return fmt.Errorf("it ended before it was killed: %w%s", end, d.lastWords())
	}
	return nil
}

// AwaitKilled waits until somebody else has killed the process, as Kill does.
func (d *Daemon) AwaitKilled(ctx context.Context) error {
	d.asked.Store(true)
	select {
	case end := <-d.ended:
		return d.killed(end)
	case <-ctx.Done():
		return fmt.Errorf("it was not killed: %w", ctx.Err())
	}
}

// PID is the process's.
func (d *Daemon) PID() int { return d.cmd.Process.Pid }

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
	resp, err := d.http.Do(req) // a connection of its own: none is left when the daemon is gone
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
		if err == nil && json.Unmarshal(body, &st) == nil && d.up(st) {
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

func (d *Daemon) up(st api.Status) bool {
	for _, row := range st.Devices {
		if row.Health != device.Ready || row.Keys == 0 {
			return false
		}
	}
	return len(st.Keys) == d.keys
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
	c := baker.NewVia(d.octez, keep, d.host.Dial)
	c.Auth = d.auth
	return c
}

// Admin is the operator's.
func (d *Daemon) Admin(ctx context.Context) (*api.Client, error) { return api.Dial(ctx, Socket(d.Dir)) }

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
	if len(keys) != d.keys {
		return nil, fmt.Errorf("%d keys, not %d", len(keys), d.keys)
	}
	return keys, nil
}
