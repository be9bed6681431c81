package cmd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"highwater/api"
	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/terminal"
	"highwater/signer"
)

const serveLong = `Run the signer. It needs a configuration and the watermark file that "highwater init" made, and signs once
"highwater activate" made this instance the active one.

octez-baker finds its keys at http://LISTEN/PKH: import each with
  octez-client import secret key ALIAS http://127.0.0.1:6732/tz1…

When the disk of the state directory fails, nothing is signed any more, hooks and log are told, and the daemon ends: a restart
tells what is on the disk. A backup stays for the other instance's questions until its disk works.

Exit status 0: stopped. 1: it could not start, or a listener failed. 2: a mistake on the command line. 3: the disk failed.`

func (a *app) serveCmd() *cobra.Command {
	var level, format string
	c := &cobra.Command{
		Use: "serve", Short: "Run the signer", Long: serveLong, Args: noArgs,
		Example: "  highwater serve --config /etc/highwater/highwater.toml --log-level debug",
		RunE: func(c *cobra.Command, _ []string) error {
			log, queue, err := a.daemonLog(level, format)
			if err != nil {
				return err
			}
			defer survive(c.Context(), log)()
			cfg, err := a.config()
			if err != nil {
				return err
			}
			d, err := newDaemon(c.Context(), cfg, log, a.version)
			if err != nil {
				return err
			}
			d.metrics.CountDroppedLines(queue.Dropped)
			if os.Getenv("GOGC") == "" {
				debug.SetGCPercent(heapGrowth)
			}
			return d.run(c.Context())
		},
	}
	c.Flags().StringVar(&level, "log-level", "info", "the `LEVEL`: debug, info, warn or error")
	c.Flags().StringVar(&format, "log-format", "text", "the `FORMAT`: text or json")
	return c
}

// heapGrowth is what the heap may grow by between two collections, in percent: 200 instead of 100. The heap is of some megabytes, so
// that it costs about 7 MiB with 100 keys; the collector also takes back the room on the stacks, which then has to be made again. See
// docs/performance.md.
const heapGrowth = 200

func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, terminal.Usagef("--log-level %q: it is debug, info, warn or error", level)
	}
	opt := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, opt)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, opt)), nil
	}
	return nil, terminal.Usagef("--log-format %q: it is text or json", format)
}

// daemon is an instance with its listeners.
type daemon struct {
	*instance
	log       *slog.Logger
	metrics   *api.Metrics
	listeners []listener
	addresses map[string]string // by name: octez, admin, monitor

	trialEvery time.Duration // how often a disk that failed is tried
}

type listener struct {
	name string
	net.Listener
	handler http.Handler
}

// newDaemon opens the instance and its listeners; nothing is answered before run.
func newDaemon(ctx context.Context, cfg *config.Config, log *slog.Logger, version string) (*daemon, error) {
	if f := checkConfigMode(cfg.Path); f.Result != resultOK { // it names commands that are run, and devices
		log.Warn("the configuration is not safe", "finding", f.Detail, "hint", f.Hint)
	}
	metrics := api.NewMetrics()
	var asked atomic.Pointer[time.Time]
	observe := func(o signer.Outcome) {
		now := time.Now()
		asked.Store(&now)
		metrics.Observe(o)
	}
	in, err := openInstance(ctx, cfg, instanceOptions{
		log: log, version: version, running: true, devices: true, onCommit: metrics.ObserveCommit,
		observe: observe,
	})
	if err != nil {
		return nil, err
	}
	in.admin.LastAsked = func() time.Time {
		if at := asked.Load(); at != nil {
			return *at
		}
		return time.Time{}
	}
	metrics.Collect(in.admin)
	if err := in.tryDisk(); err != nil {
		return nil, errors.Join(err, in.close())
	}
	d := &daemon{instance: in, log: log, metrics: metrics, addresses: map[string]string{}, trialEvery: trialEvery}
	if err := d.listen(ctx, metrics); err != nil {
		return nil, errors.Join(err, d.closeListeners(), in.close())
	}
	return d, nil
}

// Modes of sockets: the admin socket is its owner's only; the octez socket also its group's.
const (
	adminSocketMode = 0o600
	octezSocketMode = 0o660
)

func (d *daemon) listen(ctx context.Context, metrics *api.Metrics) error {
	cfg := d.cfg
	if err := os.MkdirAll(filepath.Dir(cfg.Admin.Socket), 0o700); err != nil {
		return err
	}
	if err := d.open(ctx, "admin", api.UnixPrefix+cfg.Admin.Socket, adminSocketMode, api.NewAdmin(d.admin.Admin())); err != nil {
		return err
	}
	if cfg.Monitor.Listen != "" {
		if err := d.open(ctx, "monitor", cfg.Monitor.Listen, octezSocketMode, api.NewMonitor(d.admin, metrics)); err != nil {
			return err
		}
	}
	if cfg.Peer.Listen != "" {
		if err := d.openPeer(ctx); err != nil {
			return err
		}
	}
	octez := api.NewOctez(api.OctezConfig{
		Signer: d.signer, AuthorizedKeys: cfg.Auth, KnownKeys: cfg.Server.KnownKeys, ProvePossession: cfg.Server.ProvePossession,
		Prefix: cfg.Server.PathPrefix, Budget: time.Duration(cfg.Server.Budget), Log: d.log,
	})
	if err := d.open(ctx, "octez", cfg.Server.Listen, octezSocketMode, octez); err != nil {
		return err
	}
	if cfg.Server.TLSCert == "" {
		return nil
	}
	tlsConfig, err := api.TLSConfig(cfg.Server.TLSCert, cfg.Server.TLSKey, cfg.Server.ClientCA)
	if err != nil {
		return fmt.Errorf("server.tls_cert: %w", err)
	}
	last := &d.listeners[len(d.listeners)-1]
	last.Listener = tls.NewListener(last.Listener, tlsConfig)
	return nil
}

// openPeer opens the listener of the other instance.
func (d *daemon) openPeer(ctx context.Context) error {
	tlsConfig, err := d.node.Server().TLSConfig()
	if err != nil {
		return err
	}
	if err := d.open(ctx, "peer", d.cfg.Peer.Listen, octezSocketMode, d.node.Server()); err != nil {
		return err
	}
	last := &d.listeners[len(d.listeners)-1]
	last.Listener = tls.NewListener(last.Listener, tlsConfig)
	return nil
}

func (d *daemon) open(ctx context.Context, name, address string, mode os.FileMode, h http.Handler) error {
	l, err := api.Listen(ctx, address, mode)
	if err != nil {
		return hints.Add(fmt.Errorf("%s listener: %w", name, err), "is another program there? see the "+name+" address in "+d.cfg.Path)
	}
	d.listeners = append(d.listeners, listener{name, l, h})
	d.addresses[name] = l.Addr().String()
	return nil
}

func (d *daemon) closeListeners() error {
	var err error
	for _, l := range d.listeners {
		err = errors.Join(err, l.Close())
	}
	return err
}

// run answers until ctx ends: then the listeners let their requests end, then signer, devices and store, in that order. A
// listener that fails ends all of it.
func (d *daemon) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var done sync.WaitGroup
	for _, l := range d.listeners {
		d.log.Info("listening", "listener", l.name, "address", l.Addr().String())
		done.Go(func() {
			if err := api.Serve(ctx, l.Listener, l.handler, d.log); err != nil {
				d.log.Error("listener ended", "listener", l.name, "error", err)
				stop(fmt.Errorf("%s listener: %w", l.name, err))
			}
		})
	}
	done.Go(func() { d.watchDisk(ctx, stop) })
	if rows, err := d.store.Rows(); err == nil { // a store that failed says so by itself
		sayLastRun(d.log, d.admin.LastRun, rows)
	}
	role := d.store.Role()
	d.log.Info("started", "role", role.Role.String(), "epoch", role.Epoch, "chain", d.cfg.ChainID.String(), "state_dir", d.cfg.StateDir)
	if err := notifySystemd("READY=1"); err != nil {
		d.log.Warn("systemd not told", "error", err)
	}
	<-ctx.Done()
	d.log.Info("stopping")
	d.leavePrompts()
	d.stopNode() // or the other instance's streams would hold the listener open
	done.Wait()
	err := d.close()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	d.log.Info("stopped")
	return err
}

// notifyPatience is how long a service manager that reads nothing is waited for.
const notifyPatience = time.Second

// notifySystemd tells the service manager, if there is one (sd_notify(3)).
func notifySystemd(state string) error {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	err = c.SetWriteDeadline(time.Now().Add(notifyPatience))
	if err == nil {
		_, err = c.Write([]byte(state))
	}
	return errors.Join(err, c.Close())
}
