package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"highwater/internal/baker"
)

// daemon is the real program, in a process of its own, with emulated Ledgers: one for each key, since a Ledger holds one key and
// signs one thing at a time. Their work (the application's protocol, its marks, an ed25519 signature) is done in the daemon's process.
type daemon struct {
	*contender
	binary  string
	dir     string
	config  string
	monitor string
	slow    bool
	ready   time.Duration // from start to ready, the last time
}

const daemonConfig = `state_dir = %q
chain = %q
[server]
listen = %q
known_keys = true
[monitor]
listen = %q
`

const daemonDevice = `[[device]]
name = "ledger-%03d"
kind = "ledger"
transport = "sim"
[device.sim]
seed = "the benchmark's device number %03d"
latency = "%s"
`

// newDaemon writes a configuration and makes the watermark file, as an operator does. It signs nothing before activate, and start is
// not done. rest is what the configuration says of devices, and of another instance.
func newDaemon(ctx context.Context, binary, dir, rest string, slow bool) (*daemon, error) {
	own, err := os.MkdirTemp(dir, "hw-") // short: the path of a socket has 107 characters
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
	d := &daemon{
		contender: &contender{name: "highwater", base: "http://" + octez}, binary: binary, dir: own,
		config: filepath.Join(own, "highwater.toml"), monitor: "http://" + monitor, slow: slow,
	}
	text := fmt.Sprintf(daemonConfig, filepath.Join(own, "state"), benchChain, octez, monitor) + rest
	if err = os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	err = d.command(ctx, "init", "--yes")
	return d, err
}

// emulated describes n emulated Ledgers to the configuration.
func emulated(n int, latency time.Duration) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, daemonDevice, i, i, latency)
	}
	return text.String()
}

// activate sets the marks to benchStart and makes it the instance that signs.
func (d *daemon) activate(ctx context.Context) error {
	return d.command(ctx, "activate", "--yes", "--level", strconv.Itoa(benchStart))
}

func (d *daemon) command(ctx context.Context, args ...string) error {
	_, err := d.output(ctx, args...)
	return err
}

func (d *daemon) output(ctx context.Context, args ...string) ([]byte, error) {
	var complaint bytes.Buffer
	cmd := exec.CommandContext(ctx, d.binary, append(args, "--config", d.config)...) //nolint:gosec // ours
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("highwater %s: %w: %s%s", args[0], err, out, complaint.Bytes())
	}
	return out, nil
}

// start runs the daemon and waits until it is ready.
func (d *daemon) start(ctx context.Context) error { return d.startUntil(ctx, "/readyz") }

// startUntil runs the daemon and waits until its monitor answers the path with 200.
func (d *daemon) startUntil(ctx context.Context, path string) error {
	start := time.Now()
	p, err := spawn(d.dir, d.slow, d.binary, "serve", "--config", d.config)
	if err != nil {
		return err
	}
	if d.ready, err = p.waitReady(ctx, d.monitor+path, start); err != nil {
		return errors.Join(err, p.stop())
	}
	d.process = p
	if d.keys == nil {
		return d.findKeys(ctx)
	}
	return nil
}

func (d *daemon) findKeys(ctx context.Context) error {
	client := baker.New(d.base, true)
	defer client.Close()
	hashes, err := client.KnownKeys(ctx)
	if err != nil {
		return err
	}
	for _, pkh := range hashes {
		public, err := client.PublicKey(ctx, pkh)
		if err != nil {
			return err
		}
		d.keys = append(d.keys, contenderKeyOf(public))
	}
	return nil
}

// startDaemon makes a daemon and starts it.
func startDaemon(ctx context.Context, binary, dir string, n int, latency time.Duration, slow bool) (*daemon, error) {
	d, err := newDaemon(ctx, binary, dir, emulated(n, latency), slow)
	if err != nil {
		return nil, err
	}
	if err := d.activate(ctx); err != nil {
		return nil, err
	}
	if err := d.start(ctx); err != nil {
		return nil, err
	}
	if len(d.keys) != n {
		return nil, errors.Join(fmt.Errorf("%d keys were asked for, and the daemon has %d", n, len(d.keys)), d.stop())
	}
	return d, nil
}

// fileSize is the size of marks.db in bytes.
func (d *daemon) fileSize() (int64, error) {
	info, err := os.Stat(filepath.Join(d.dir, "state", "marks.db"))
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// peakRSS is the most memory that the process has had resident, in bytes (VmHWM of proc(5)).
func (p *process) peakRSS() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(text))
}

func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmHWM in the process's status")
}

// probe asks a floor for the disk's times as that process sees them.
func (c *contender) probe(ctx context.Context) (diskTimes, error) {
	body, err := get(ctx, c.base+probePath)
	if err != nil {
		return diskTimes{}, err
	}
	var t diskTimes
	err = json.Unmarshal(body, &t)
	return t, err
}
