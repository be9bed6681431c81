package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"highwater/test/harness"
)

// daemon is the real program, in its own process, with emulated Ledgers: one for each key, since a Ledger holds one key
// and signs one payload at a time. The devices' work (protocol, marks, an ed25519 signature) is in the daemon's
// process.
type daemon struct {
	*contender
	*harness.Daemon
	under []string      // front of the command line
	ready time.Duration // from start to ready, the last time
}

const daemonConfig = `state_dir = %q
chain = %q
[server]
listen = %q
known_keys = true
`

const monitorConfig = `[monitor]
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

// newDaemon writes a configuration and makes the watermark file, as an operator does. The daemon is not started, and
// signs nothing before activate. rest is the rest of the configuration: devices with the given number of keys, and a
// peer.
func (p plan) newDaemon(ctx context.Context, rest string, keys int, slow bool) (*daemon, error) {
	return newDaemonUnder(ctx, p.binary, p.dir, rest, keys, under(slow), p.store())
}

// defaultAhead is the program's own.
const defaultAhead = 2

func (p plan) store() harness.Store { return harness.Store{Ahead: defaultAhead, Runtime: p.runtime} }

// newDaemonUnder is newDaemon for one directory, by another command. top are settings before all tables.
func newDaemonUnder(
	ctx context.Context, binary, dir, rest string, keys int, under []string, store harness.Store, top ...string,
) (*daemon, error) {
	return makeDaemon(ctx, binary, dir, keys, under, store, func(monitor string) (string, string) {
		return strings.Join(top, ""), fmt.Sprintf(monitorConfig, monitor) + rest
	})
}

// makeDaemon is newDaemonUnder with any configuration: settings before all tables, and the other tables.
func makeDaemon(
	ctx context.Context, binary, dir string, keys int, under []string, store harness.Store,
	config func(monitor string) (top, rest string),
) (*daemon, error) {
	own, err := os.MkdirTemp(dir, "hw-") // short: the path of a socket has 107 characters
	if err != nil {
		return nil, err
	}
	octez, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	monitor, err := harness.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	d := &daemon{contender: &contender{name: "highwater", base: "http://" + octez}, under: under}
	top, rest := config(monitor)
	d.Daemon, err = harness.Make(harness.Options{
		Binary: binary, Dir: own, Octez: octez, Monitor: monitor, Keys: keys, Store: store,
		Config: top + fmt.Sprintf(daemonConfig, filepath.Join(own, "state"), benchChain, octez) + rest,
	})
	if err != nil {
		return nil, err
	}
	_, err = d.Command(ctx, "init", "--yes")
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

// activate sets the marks to benchStart, and lets the instance sign.
func (d *daemon) activate(ctx context.Context) error {
	_, err := d.Command(ctx, "activate", "--yes", "--level", strconv.Itoa(benchStart))
	return err
}

// start runs the daemon, and waits until the daemon is ready.
func (d *daemon) start(ctx context.Context) error {
	return d.startUntil(ctx, func(ctx context.Context) error { return awaitPage(ctx, &d.Process, d.Monitor+"/readyz") })
}

// startUntil runs the daemon, and waits by await.
func (d *daemon) startUntil(ctx context.Context, await func(context.Context) error) error {
	start := time.Now()
	if err := d.StartUnder(d.under...); err != nil {
		return err
	}
	err := await(ctx)
	d.ready = time.Since(start)
	if err == nil && d.keys == nil {
		err = d.findKeys(ctx)
	}
	if err != nil {
		return errors.Join(err, d.Stop())
	}
	d.process = &d.Process
	return nil
}

func (d *daemon) findKeys(ctx context.Context) error {
	keys, err := d.Keys(ctx)
	for _, k := range keys {
		d.keys = append(d.keys, contenderKeyOf(k))
	}
	return err
}

// startDaemon makes and starts a daemon.
func (p plan) startDaemon(ctx context.Context, n int, latency time.Duration, slow bool) (*daemon, error) {
	return startDaemonUnder(ctx, p.binary, p.dir, n, latency, under(slow), p.store())
}

func startDaemonUnder(
	ctx context.Context, binary, dir string, n int, latency time.Duration, under []string, store harness.Store,
) (*daemon, error) {
	d, err := newDaemonUnder(ctx, binary, dir, emulated(n, latency), n, under, store)
	if err != nil {
		return nil, err
	}
	if err = d.activate(ctx); err != nil {
		return nil, err
	}
	err = d.start(ctx)
	return d, err
}
