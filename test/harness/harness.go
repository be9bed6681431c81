// Package harness runs the real program as an operator does: write a configuration, make the watermark file, activate,
// serve, wait, end the process. All suites with real processes share this package.
package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"highwater/api"
	"highwater/internal/baker"
	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/operate"
)

// Chain belongs to no network.
var Chain = tezos.ChainID{'t', 'e', 's', 't'}

// StartLevel is where all marks are before the first request.
const StartLevel = 1000

// Devices are the emulated devices of a configuration, and the number of their keys.
type Devices struct {
	Text string
	Keys int
}

// Bakery are the devices of most suites, with all kinds of keys: tz1 twice, tz2, tz3, and four tz4. Three has only the
// keys that earlier builds derive in the same way: tz1, tz2, tz3.
var (
	Bakery = Devices{ledgerText(`"ed25519", "secp256k1", "P-256", "bip25519"`) + gadgets, 8}
	Three  = Devices{ledgerText(`"ed25519", "secp256k1", "P-256"`), 3}
)

// The devices live in the daemon's process, and lose their own marks with the process, like a Ledger with the setting
// off. Clients are authenticated.
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
`

func ledgerText(curves string) string {
	return fmt.Sprintf(`[[device]]
name = "ledger"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "worth nothing"
curves = [%s]
latency = "1ms"
`, curves)
}

const gadgets = `[[device]]
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

// Host is the place of a daemon. The zero value is this machine.
type Host struct {
	// Dial connects from the host; nil: from this process.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Start starts a process on the host; nil: here.
	Start func(cmd *exec.Cmd) error
}

func (h Host) start(cmd *exec.Cmd) error {
	if h.Start == nil {
		return cmd.Start()
	}
	return h.Start(cmd)
}

// Run runs a command on the host to its end.
func (h Host) Run(cmd *exec.Cmd) error {
	if err := h.start(cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

// Options are the parts of a daemon.
type Options struct {
	Host
	Binary  string       // the program
	Dir     string       // for everything
	Config  string       // the text of the configuration; the admin socket is Dir/admin.sock
	Store   Store        // the [store] section
	Octez   string       // HOST:PORT of the octez endpoints
	Monitor string       // HOST:PORT of the monitor
	Auth    *softkey.Key // the clients' authentication key; nil: no authentication
	Keys    int          // number of keys in the devices
}

// Daemon is the program with its state directory, running or stopped.
type Daemon struct {
	Process
	Dir     string   // of everything below
	Monitor string   // URL
	Env     []string // more environment for the processes
	octez   string
	binary  string
	config  string
	rest    string // of the configuration, without [store]
	auth    *softkey.Key
	keys    int
	host    Host
	http    *http.Client
}

// loopback is an address of no outgoing connection. On 127.0.0.1, a connection could get the daemon's port while the
// daemon is down.
const loopback = "127.0.0.2"

// New writes the configuration, makes the watermark file, sets the marks and activates; the daemon is not started.
func New(ctx context.Context, binary, dir string, store Store, devices Devices) (*Daemon, error) {
	auth, err := softkey.New(tezos.Ed25519, bytes.Repeat([]byte{7}, softkey.MinSeed))
	if err != nil {
		return nil, err
	}
	octez, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	monitor, err := FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	d, err := Make(Options{
		Binary: binary, Dir: dir, Store: store, Octez: octez, Monitor: monitor, Auth: auth, Keys: devices.Keys,
		Config: fmt.Sprintf(configuration, filepath.Join(dir, "state"), Chain, octez, auth.PublicKey(), Socket(dir),
			monitor) + devices.Text,
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
	d := &Daemon{
		Process: Process{Log: filepath.Join(opt.Dir, "log")}, Dir: opt.Dir, Monitor: "http://" + opt.Monitor,
		octez: "http://" + opt.Octez, binary: opt.Binary,
		config: filepath.Join(opt.Dir, "highwater.toml"), rest: opt.Config, auth: opt.Auth, keys: opt.Keys, host: opt.Host,
		http: &http.Client{Transport: &http.Transport{DialContext: opt.Dial, DisableKeepAlives: true}},
	}
	err := d.Use(opt.Binary, opt.Store)
	return d, err
}

// Command runs a command of the program, and gives its standard output. The error carries all output.
func (d *Daemon) Command(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, d.binary, append(args, "--config", d.config)...) //nolint:gosec // ours
	cmd.Env = append(os.Environ(), d.Env...)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := d.host.Run(cmd); err != nil {
		return out.Bytes(), fmt.Errorf("highwater %s: %w: %s%s", args[0], err, said.Bytes(), out.Bytes())
	}
	return out.Bytes(), nil
}

// Socket is the admin socket of a daemon in a directory.
func Socket(dir string) string { return filepath.Join(dir, "admin.sock") }

// Marks is the watermark file.
func (d *Daemon) Marks() string { return filepath.Join(d.Dir, "state", "marks.db") }

// MarksSize is the size of the watermark file, in bytes.
func (d *Daemon) MarksSize() (int64, error) {
	info, err := os.Stat(d.Marks())
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// Start starts the process, and does not wait until the daemon is ready. slowSync delays every sync, by strace. SIGKILL
// alone loses no write; with slow syncs, the kill comes before many writes.
func (d *Daemon) Start(slowSync time.Duration) error {
	if slowSync > 0 {
		return d.StartUnder(SlowDisk(slowSync)...)
	}
	return d.StartUnder()
}

// StartUnder starts the process by another command, which becomes the program.
func (d *Daemon) StartUnder(command ...string) error {
	args := slices.Concat(command, []string{d.binary, "serve", "--config", d.config})
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // ours; Kill or Stop end it
	cmd.Env = append(os.Environ(), d.Env...)
	return d.start(cmd, d.host)
}

// Get asks the monitor.
func (d *Daemon) Get(ctx context.Context, path string) ([]byte, error) {
	return Get(ctx, d.http, d.Monitor+path) // each request has its own connection, so none is left when the daemon is gone
}

// Get asks for a page.
func Get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, resp.Status, bytes.TrimSpace(body))
	}
	return body, err
}

// AwaitUp waits until the daemon answers, and all devices and keys are ready, whatever the role. AwaitUp gives the
// status.
func (d *Daemon) AwaitUp(ctx context.Context) (st operate.Status, err error) {
	err = d.Await(ctx, func(ctx context.Context) bool {
		st = operate.Status{}
		body, wrong := d.Get(ctx, "/status")
		return wrong == nil && json.Unmarshal(body, &st) == nil && d.up(st)
	})
	if err != nil {
		err = fmt.Errorf("%w\nnot ready: %v", err, st.NotReady)
	}
	return st, err
}

func (d *Daemon) up(st operate.Status) bool {
	for _, row := range st.Devices {
		if row.Health != device.Ready || row.Keys == 0 {
			return false
		}
	}
	return len(st.Keys) == d.keys
}

// Client is a baker's client with the authentication key. The client opens a connection for each request, as octez
// does, or keeps its connections.
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
