// Package daemon is the open instance (store, devices, signer, link) and the serving daemon.
package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"highwater/api"
	"highwater/internal/certs"
	"highwater/internal/config"
	"highwater/internal/early"
	"highwater/internal/hints"
	"highwater/internal/history"
	"highwater/signer"
)

// Daemon is an instance with its listeners.
type Daemon struct {
	*Instance
	log       *slog.Logger
	Metrics   *api.Metrics
	listeners []listener
	Addresses map[string]string // by name: octez, socket, admin, monitor, peer

	certificates []*certs.Files // of listener and register

	TrialEvery time.Duration // how often a failed disk is tried
}

// listener is a listener with the serving of its connections.
type listener struct {
	name string
	net.Listener
	serve func(ctx context.Context, l net.Listener) error
}

// New opens the instance and its listeners; nothing is answered before run.
func New(ctx context.Context, cfg *config.Config, log *slog.Logger, version string) (*Daemon, error) {
	if err := config.CheckMode(cfg.Path); err != nil { // the file names devices, and commands to run
		log.Warn("the configuration is not safe", "finding", err.Error(), "hint", hints.Of(err))
	}
	metrics := api.NewMetrics()
	var asked atomic.Pointer[time.Time]
	recent, watch := history.New(), early.New(cfg.Monitor.Limits(), log)
	observe := func(o signer.Outcome) {
		now := time.Now()
		asked.Store(&now)
		metrics.Observe(o)
		tellHistory(recent, o)
		tellEarly(watch, o)
	}
	committed := func(took time.Duration) {
		metrics.ObserveCommit(took)
		watch.Committed(took)
	}
	in, err := Open(ctx, cfg, Options{
		Log: log, Version: version, Running: true, Devices: true, onCommit: committed,
		observe: observe,
	})
	if err != nil {
		return nil, err
	}
	in.Admin.LastAsked = func() time.Time {
		if at := asked.Load(); at != nil {
			return *at
		}
		return time.Time{}
	}
	in.Admin.Recent, in.Admin.Early = recent, watch
	metrics.Collect(in.Admin)
	if err := in.TryDisk(); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	d := &Daemon{
		Instance: in, log: log, Metrics: metrics, Addresses: map[string]string{}, TrialEvery: trialEvery,
		certificates: in.registerCertificates(),
	}
	in.Admin.Certificates = d.certificateRows
	if err := d.listen(ctx, metrics); err != nil {
		return nil, errors.Join(err, d.closeListeners(), in.Close())
	}
	return d, nil
}

func (d *Daemon) listen(ctx context.Context, metrics *api.Metrics) error {
	cfg := d.Config
	if err := os.MkdirAll(filepath.Dir(cfg.Admin.Socket), 0o700); err != nil {
		return err
	}
	if err := d.open(ctx, "admin", api.UnixPrefix+cfg.Admin.Socket, adminSocketMode,
		api.NewAdmin(d.Admin.Admin())); err != nil {
		return err
	}
	if cfg.Monitor.Listen != "" {
		if err := d.open(ctx, "monitor", cfg.Monitor.Listen, OctezSocketMode, api.NewMonitor(d.Admin, metrics)); err != nil {
			return err
		}
	}
	if cfg.Peer.Listen != "" {
		if err := d.openPeer(ctx); err != nil {
			return err
		}
	}
	return d.openBakers(ctx, metrics)
}

// openPeer opens the listener for the peer.
func (d *Daemon) openPeer(ctx context.Context) error {
	tlsConfig, err := d.node.Server().TLSConfig()
	if err != nil {
		return err
	}
	if err := d.open(ctx, "peer", d.Config.Peer.Listen, OctezSocketMode, d.node.Server()); err != nil {
		return err
	}
	last := &d.listeners[len(d.listeners)-1]
	last.Listener = tls.NewListener(last.Listener, tlsConfig)
	return nil
}

func (d *Daemon) open(ctx context.Context, name, address string, mode os.FileMode, h http.Handler) error {
	l, err := d.bind(ctx, name, address, mode)
	if err != nil {
		return err
	}
	d.add(name, l, func(ctx context.Context, l net.Listener) error { return api.Serve(ctx, l, h, d.log) })
	return nil
}

func (d *Daemon) bind(ctx context.Context, name, address string, mode os.FileMode) (net.Listener, error) {
	l, err := api.Listen(ctx, address, mode)
	if err != nil {
		return nil, hints.Add(fmt.Errorf("%s listener: %w", name, err),
			listenHint(err, "the "+name+" address in "+d.Config.Path))
	}
	return l, nil
}

func (d *Daemon) add(name string, l net.Listener, serve func(context.Context, net.Listener) error) {
	d.listeners = append(d.listeners, listener{name, l, serve})
	d.Addresses[name] = l.Addr().String()
}

func (d *Daemon) closeListeners() error {
	var err error
	for _, l := range d.listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// Run answers until ctx ends: then the listeners let their requests end, then signer, devices and store end, in this
// order. A failed listener ends the daemon.
func (d *Daemon) Run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var done sync.WaitGroup
	for _, l := range d.listeners {
		d.log.Info("listening", "listener", l.name, "address", l.Addr().String())
		done.Go(func() {
			if err := l.serve(ctx, l.Listener); err != nil {
				d.log.Error("listener ended", "listener", l.name, "error", err)
				stop(fmt.Errorf("%s listener: %w", l.name, err))
			}
		})
	}
	done.Go(func() { d.watchDisk(ctx, stop) })
	done.Go(func() { d.watchdog(ctx) })
	done.Go(func() { d.Admin.Recent.Run(ctx) })
	done.Go(func() { d.watchCertificates(ctx) })
	done.Go(func() { d.Admin.Early.Run(ctx, d.earlySources(), d.hooks.Warning) })
	if rows, err := d.Store.Rows(); err == nil { // a failed store logs its own error
		sayLastRun(d.log, d.Admin.LastRun, rows)
	}
	role := d.Store.Role()
	d.log.Info("started", "role", role.Role.String(), "epoch", role.Epoch, "chain", d.Config.ChainID.String(),
		"state_dir", d.Config.StateDir)
	if err := notifySystemd("READY=1"); err != nil {
		d.log.Warn("systemd not told", "error", err)
	}
	<-ctx.Done()
	d.log.Info("stopping")
	d.leavePrompts()
	d.StopNode() // or the peer's streams would hold the listener open
	done.Wait()
	err := d.Close()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	d.log.Info("stopped")
	return err
}

// Modes of sockets: the admin socket is its owner's only; the octez socket also its group's.
const (
	adminSocketMode = 0o600
	OctezSocketMode = 0o660
)
