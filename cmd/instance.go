package cmd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"highwater/api"
	"highwater/failover"
	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/chain"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/hooks"
	"highwater/internal/node"
	"highwater/internal/usb"
	"highwater/operate"
	"highwater/signer"
	"highwater/store"
)

// instance is an open state directory with its devices and signer: the daemon's, or for the time of one command.
type instance struct {
	cfg     *config.Config
	store   *store.DB
	devices []wired
	usb     *usb.Bus
	signer  *signer.Signer
	octez   *node.Client // nil: no node is configured
	node    *failover.Node
	guard   *guard.Guard // nil: it is no daemon, or no node is configured
	hooks   *hooks.Hooks
	admin   *operate.Local

	stopDevices, stopSigner, stopNode, stopGuard, stopHooks context.CancelFunc
	devicesDone, signerDone, nodeDone, guardDone, hooksDone sync.WaitGroup
}

// driver is a device with its own goroutine.
type driver interface {
	signer.Device
	SetReconciler(r device.Reconciler)
	Run(ctx context.Context)
	Poke() // look now
}

// instanceOptions say what an instance is for.
type instanceOptions struct {
	log      *slog.Logger
	observe  func(signer.Outcome)
	onCommit func(time.Duration)
	version  string
	running  bool // it is the daemon
	devices  bool // connect to the devices
}

// openInstance opens the store, which must exist, and starts what was asked for. close ends all of it.
func openInstance(ctx context.Context, cfg *config.Config, opt instanceOptions) (*instance, error) {
	db, err := store.Open(ctx, cfg.StateDir, storeOptions(cfg, opt))
	if err != nil {
		return nil, explainStore(cfg, err)
	}
	in := &instance{cfg: cfg, store: db, usb: usb.NewBus(opt.log)}
	if opt.devices {
		if in.devices, err = newDrivers(cfg, in.usb, opt.log); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	devices := make([]signer.Device, 0, len(in.devices))
	for _, d := range in.devices {
		devices = append(devices, d.driver) // itself, with all that it can do besides
	}
	in.hooks = hooks.New(hooks.Config{
		Command: cfg.Hooks.Command, Webhook: cfg.Hooks.Webhook, Timeout: time.Duration(cfg.Hooks.Timeout), Instance: db.Instance(), Log: opt.log,
	})
	_, paired := db.Peer()
	memory := guard.NewMemory() // it hears all from the first request on, or the guard would take our own signatures for a stranger's
	in.signer = signer.New(signer.Config{
		Chain: cfg.ChainID, Store: db, Devices: devices, Keys: cfg.Policy, Log: opt.log, Hold: paired,
		Observe: opt.observing(cfg, memory), Changed: in.changed, Alarmed: in.hooks.Alarm, Awake: in.awake, Head: in.head,
	})
	pair := failover.Config{Signer: in.signer, Store: db, Log: opt.log, Build: opt.version, Offline: !opt.running}
	var reader *chain.Reader // one for the guard and the protocol: each block is read once
	if cfg.Node != "" {
		if in.octez, err = node.New(node.Config{URL: cfg.Node, Log: opt.log}); err != nil {
			return nil, errors.Join(err, in.usb.Close(), db.Close())
		}
		reader = chain.New(in.octez, cfg.ChainID)
		pair.Chain = reader
	}
	in.node = failover.New(pair)
	in.admin = &operate.Local{Signer: in.signer, Store: db, Version: opt.version, Running: opt.running, Now: time.Now, Node: in.node}
	in.admin.Identity, in.admin.LastRun, in.admin.Acts = db.Identity(), lastRun(db.Ended()), db.Journal
	if in.octez != nil && opt.running {
		in.guard = guard.For(guard.Instance{
			Signer: in.signer, Store: db, Protocol: in.node, Reader: reader, Memory: memory, Log: opt.log,
		})
		in.admin.Guard = in.guard
	}
	if opt.devices {
		in.admin.Devices = in.deviceCall
	}
	in.start(ctx)
	return in, nil
}

// leavePrompts sends away who waits for somebody in front of a device: the listeners would wait for them.
func (in *instance) leavePrompts() {
	for _, w := range in.devices {
		if d, ok := w.driver.(interface{ Leave() }); ok {
			d.Leave()
		}
	}
}

// observing tells of every outcome what wants to know it.
func (opt instanceOptions) observing(cfg *config.Config, memory *guard.Memory) func(signer.Outcome) {
	if cfg.Node == "" || !opt.running {
		return opt.observe
	}
	return func(o signer.Outcome) {
		memory.Observe(o)
		if opt.observe != nil {
			opt.observe(o)
		}
	}
}

// changed is told of every change of role. It does not wait.
func (in *instance) changed(r hwm.RoleRecord) {
	in.hooks.Role(r)
	if in.guard != nil {
		in.guard.Poke()
	}
}

// awake is asked before a signature leaves; whoever signs has a node by then.
func (in *instance) awake(ctx context.Context) { in.node.Awake(ctx) }

// head is the newest head that is known; whoever asks has a node by then.
func (in *instance) head() *hwm.Known { return in.node.KnownHead() }

// start runs all of it, each part under a context of its own: they end in close, in its order, whatever happens to ctx.
func (in *instance) start(ctx context.Context) {
	var deviceCtx, signerCtx, nodeCtx, guardCtx, hooksCtx context.Context
	ctx = context.WithoutCancel(ctx)
	nodeCtx, in.stopNode = context.WithCancel(ctx)
	deviceCtx, in.stopDevices = context.WithCancel(ctx)
	signerCtx, in.stopSigner = context.WithCancel(ctx)
	guardCtx, in.stopGuard = context.WithCancel(ctx)
	hooksCtx, in.stopHooks = context.WithCancel(ctx)
	for _, d := range in.devices {
		d.SetReconciler(in.signer.Reconciler(d.Name()))
		in.devicesDone.Go(func() { d.Run(deviceCtx) })
	}
	in.devicesDone.Go(func() { usb.Watch(deviceCtx, in.poke) })
	in.signerDone.Go(func() { in.signer.Run(signerCtx) })
	in.hooksDone.Go(func() { in.hooks.Run(hooksCtx) })
	if in.guard != nil {
		in.guardDone.Go(func() { in.guard.Run(guardCtx) })
	}
	if in.admin.Running { // only the daemon speaks with the other instance
		in.nodeDone.Go(func() { in.node.Run(nodeCtx) })
	}
}

// poke has the devices on USB looked at: something was plugged in, or unplugged.
func (in *instance) poke() {
	for i, d := range in.devices {
		if in.cfg.Devices[i].Transport == config.TransportUSB {
			d.Poke()
		}
	}
}

// close lets the exchanges under way end, then the guard, which watches as long as anything is signed, the devices, the hooks, which
// tell of all of it, and the store.
func (in *instance) close() error {
	in.stopNode()
	in.nodeDone.Wait()
	in.stopSigner()
	in.signerDone.Wait()
	in.stopGuard()
	in.guardDone.Wait()
	in.stopDevices()
	in.devicesDone.Wait()
	in.stopHooks()
	in.hooksDone.Wait()
	var err error
	for _, d := range in.devices {
		err = errors.Join(err, d.close())
	}
	if in.octez != nil {
		in.octez.Close()
	}
	return errors.Join(err, in.usb.Close(), in.store.Close())
}

// settle waits until every device is ready, or until patience ends: a device that is absent stays so.
func (in *instance) settle(ctx context.Context, patience time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, d := range in.devices {
		for {
			changed := d.Changed()
			if d.Status().Health == device.Ready {
				break
			}
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
	}
}

// patience is how long a command that has no daemon to ask waits for devices.
const patience = 3 * time.Second

// admin gives the admin API: the daemon's, when one runs; else of the store itself, with the devices if they are asked for.
func (a *app) admin(ctx context.Context, cfg *config.Config, devices bool) (operate.Admin, func() error, error) {
	client, err := api.Dial(ctx, cfg.Admin.Socket)
	if err == nil {
		return client.Admin(), func() error { return nil }, nil
	}
	if !errors.Is(err, api.ErrNoDaemon) {
		return operate.Admin{}, nil, hints.Add(fmt.Errorf("the daemon's socket: %w", err), store.AccessHint(err))
	}
	in, err := openInstance(ctx, cfg, instanceOptions{log: slog.New(slog.DiscardHandler), version: a.version, devices: devices})
	if errors.Is(err, store.ErrInUse) { // nobody listens, and somebody is there
		return operate.Admin{}, nil, hints.Add(err, fmt.Sprintf("nobody answers at %s: another command is at work there now, or a daemon that has another "+
			"[admin] socket, or lost it: restart that one with this configuration", cfg.Admin.Socket))
	}
	if err != nil {
		return operate.Admin{}, nil, err
	}
	if !devices {
		return in.admin.Admin(), in.close, nil
	}
	in.settle(ctx, patience)
	in.signer.Learn()
	return in.admin.Admin(), func() error { a.leaveAlarms(in); return in.close() }, nil
}

// leaveAlarms tells of alarms that arose in this command: the marks that they are about were raised, so the daemon will not see them.
func (a *app) leaveAlarms(in *instance) {
	for _, m := range in.signer.Alarms() {
		a.Note("alarm: %s: %s\nhint: %s", m.Name, m.Text, m.Hint)
	}
}

// withAdmin runs f with the admin API, and closes it.
func (a *app) withAdmin(ctx context.Context, devices bool, f func(*config.Config, operate.Admin) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	admin, done, err := a.admin(ctx, cfg, devices)
	if err != nil {
		return err
	}
	return errors.Join(f(cfg, admin), done())
}

// offline opens the store for what is only done while no daemon runs.
func (a *app) offline(ctx context.Context, f func(*config.Config, *instance) error) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	in, err := openInstance(ctx, cfg, instanceOptions{log: slog.New(slog.DiscardHandler), version: a.version})
	if errors.Is(err, store.ErrInUse) {
		return hints.Add(err, "this is done at a stopped instance only: systemctl stop highwater")
	}
	if err != nil {
		return err
	}
	return errors.Join(f(cfg, in), in.close())
}

// explainStore adds what to do to the errors of opening a store.
func explainStore(cfg *config.Config, err error) error {
	switch {
	case errors.Is(err, store.ErrMissing):
		return hints.Add(err, fmt.Sprintf("is its disk mounted (findmnt -T %s), and is that directory the state_dir of before? A missing file is brought back, or "+
			"found. Only for keys that signed nothing with another one, or when the old one is lost for good, a watermark file is made once, empty, and on "+
			"purpose: highwater init --config %s", cfg.StateDir, cfg.Path))
	case errors.Is(err, store.ErrInUse):
		return hints.Add(err, fmt.Sprintf("two signers on one state directory would sign twice; is another highwater running on %s?", cfg.StateDir))
	}
	return err
}

// storeOptions are those of the configuration.
func storeOptions(cfg *config.Config, opt instanceOptions) store.Options {
	return store.Options{Log: opt.log, OnCommit: opt.onCommit, Ahead: cfg.Store.Levels(), RuntimeDir: cfg.RuntimeDir()}
}
