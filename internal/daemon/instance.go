package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"highwater/failover"
	"highwater/guard"
	"highwater/hwm"
	"highwater/internal/actor"
	"highwater/internal/audit"
	"highwater/internal/chain"
	"highwater/internal/config"
	"highwater/internal/device"
	"highwater/internal/heldlog"
	"highwater/internal/hints"
	"highwater/internal/hooks"
	"highwater/internal/node"
	"highwater/internal/rights"
	"highwater/internal/usb"
	"highwater/operate"
	"highwater/signer"
	"highwater/store"
)

// Instance is an open state directory with its devices and signer: the daemon's, or for the time of one command.
type Instance struct {
	Config  *config.Config
	Store   *store.DB
	Devices []wired
	usb     *usb.Bus
	Signer  *signer.Signer
	octez   *node.Client // nil: no node is configured
	node    *failover.Node
	Guard   *guard.Guard     // nil: no daemon, or no node is configured
	Rights  *rights.Follower // nil as Guard
	hooks   *hooks.Hooks
	audit   *audit.Log // nil: no daemon, or not wanted
	share   *share     // nil: the right to sign is not shared, or this is no daemon
	log     *slog.Logger
	Admin   *operate.Local

	stopDevices, stopSigner, StopNode, stopGuard, stopHooks, stopShare, stopAudit context.CancelFunc
	devicesDone, signerDone, nodeDone, guardDone, hooksDone, shareDone            sync.WaitGroup
	auditDone                                                                     chan struct{}
}

// driver is a device with its own goroutine.
type driver interface {
	signer.Device
	SetReconciler(r device.Reconciler)
	Run(ctx context.Context)
	Poke() // look now
}

// Options say the purpose of an instance.
type Options struct {
	Log      *slog.Logger
	observe  func(signer.Outcome)
	onCommit func(time.Duration)
	Version  string
	Running  bool // the daemon
	Devices  bool // connect to the devices
}

// Open opens the store, an existing file, and starts the parts named in the options. Close ends all parts.
func Open(ctx context.Context, cfg *config.Config, opt Options) (*Instance, error) {
	db, err := store.Open(ctx, cfg.StateDir, storeOptions(cfg, opt))
	if err != nil {
		return nil, ExplainStore(cfg, err)
	}
	if err = mayShare(cfg, db); err != nil && opt.Running {
		return nil, errors.Join(err, db.Close())
	}
	in := &Instance{
		Config: cfg, Store: db, usb: usb.NewBus(opt.Log), log: opt.Log, audit: newAudit(cfg, db.Instance().String(), opt),
		auditDone: make(chan struct{}),
	}
	if opt.Devices {
		if in.Devices, err = newDrivers(cfg, in.usb, opt.Log); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	devices := make([]signer.Device, 0, len(in.Devices))
	for _, d := range in.Devices {
		devices = append(devices, d.driver) // the driver, with all its further abilities
	}
	in.hooks = hooks.New(hooks.Config{
		Command: cfg.Hooks.Command, Webhook: cfg.Hooks.Webhook, Timeout: time.Duration(cfg.Hooks.Timeout),
		Instance: db.Instance(), Log: opt.Log,
	})
	_, paired := db.Peer()
	var right signer.Right
	lines := &heldlog.Lines{}
	if cfg.Shared() && opt.Running {
		if in.share, err = newShare(cfg, db, opt.Log, lines, in); err != nil {
			return nil, errors.Join(err, in.usb.Close(), db.Close())
		}
		right = sharedRight{in.share.right, in.share}
	}
	// The memory hears all from the first request on, or the guard would take our own signatures for a stranger's.
	memory := guard.NewMemory()
	in.Signer = signer.New(signer.Config{
		Chain: cfg.ChainID, Store: db, Devices: devices, Keys: cfg.Policy, Log: opt.Log, Lines: lines,
		Hold: paired || cfg.Shared(), Right: right,
		Observe: opt.observing(cfg, memory, in.audit), Changed: in.changed, Alarmed: in.hooks.Alarm, Awake: in.awake,
		Head: in.head,
	})
	pair := failover.Config{Signer: in.Signer, Store: db, Log: opt.Log, Build: opt.Version, Offline: !opt.Running}
	pair.AuditHead, pair.Accepted = in.auditHead, in.accepted
	var reader *chain.Reader // shared by the guard and the protocol: each block is read once
	if cfg.Node != "" {
		if in.octez, err = node.New(node.Config{URL: cfg.Node, Log: opt.Log}); err != nil {
			return nil, errors.Join(err, in.usb.Close(), db.Close())
		}
		reader = chain.New(in.octez, cfg.ChainID)
		pair.Chain = reader
	}
	in.node = failover.New(pair)
	in.Admin = &operate.Local{
		Signer: in.Signer, Store: db, Version: opt.Version, Running: opt.Running, Now: time.Now,
		Node: in.node,
	}
	in.Admin.Note, in.Admin.Forgotten, in.Admin.Log = db.Record, db.Forgotten, opt.Log
	in.Admin.Name, in.Admin.Audit = cfg.Name, in.audit.State
	in.Admin.AuditHead, in.Admin.Heard = in.auditHead, in.heardBundle
	in.Admin.Identity, in.Admin.LastRun, in.Admin.Acts, in.Admin.Seen = db.Identity(), lastRun(db.Ended()), db.Journal,
		db.RegisterSeen
	// before the first record its operator makes ready as alone
	in.Admin.Shared = cfg.Shared() && (opt.Running || db.RegisterSeen().Cluster != 0)
	var heads guard.Heads = in.node.Heads()
	var watched guard.Store = db
	if in.share != nil {
		in.share.connect(in)
		in.Admin.Register, heads = in.share.desk, watchedHeads{in.node.Heads(), in.share.keeper.Poke}
		watched = sharedStore{db, in.share.right}
	}
	if in.octez != nil && opt.Running {
		in.Rights = in.follow(reader)
		in.Guard = guard.For(guard.Instance{
			Signer: in.Signer, Store: watched, Protocol: in.node, Heads: followedHeads{heads, in.Rights}, Reader: reader,
			Memory: memory, Log: opt.Log,
		})
		in.Admin.Guard, in.Admin.Rights = in.Guard, in.Rights
	}
	if opt.Devices {
		in.Admin.Devices = in.deviceCall
	}
	in.start(ctx)
	return in, nil
}

// leavePrompts ends the requests that wait for a person in front of a device: the listeners would wait for such
// requests.
func (in *Instance) leavePrompts() {
	for _, w := range in.Devices {
		if d, ok := w.driver.(interface{ Leave() }); ok {
			d.Leave()
		}
	}
}

// observing passes every outcome on to its observers. No observer waits.
func (opt Options) observing(cfg *config.Config, memory *guard.Memory, log *audit.Log) func(signer.Outcome) {
	if !opt.Running {
		return opt.observe
	}
	return func(o signer.Outcome) {
		if cfg.Node != "" {
			memory.Observe(o)
		}
		if opt.observe != nil {
			opt.observe(o)
		}
		if log != nil {
			log.Tell(decisionOf(o))
		}
	}
}

// changed is called at every change of role, and does not wait.
func (in *Instance) changed(r hwm.RoleRecord) {
	in.hooks.Role(r)
	in.audit.TellRole(roleText(r))
	if in.Guard != nil {
		in.Guard.Poke()
	}
}

// awake is asked before a signature leaves; a signing instance has a failover node by then.
func (in *Instance) awake(ctx context.Context) { in.node.Awake(ctx) }

// head is the newest known head. A caller has a failover node by then.
func (in *Instance) head() *hwm.Known { return in.node.Heads().Known() }

// start runs all parts, each under its own context: the parts end in the order of Close, independent of ctx.
func (in *Instance) start(ctx context.Context) {
	var deviceCtx, signerCtx, nodeCtx, guardCtx, hooksCtx, shareCtx, auditCtx context.Context
	ctx = context.WithoutCancel(ctx)
	nodeCtx, in.StopNode = context.WithCancel(ctx)
	deviceCtx, in.stopDevices = context.WithCancel(ctx)
	signerCtx, in.stopSigner = context.WithCancel(ctx)
	guardCtx, in.stopGuard = context.WithCancel(ctx)
	hooksCtx, in.stopHooks = context.WithCancel(ctx)
	shareCtx, in.stopShare = context.WithCancel(ctx)
	auditCtx, in.stopAudit = context.WithCancel(ctx)
	if in.audit != nil {
		go func() { in.audit.Run(auditCtx); close(in.auditDone) }()
	}
	for _, d := range in.Devices {
		d.SetReconciler(in.Signer.Reconciler(d.Name()))
		in.devicesDone.Go(func() { d.Run(deviceCtx) })
	}
	in.devicesDone.Go(func() { usb.Watch(deviceCtx, in.poke) })
	in.signerDone.Go(func() { in.Signer.Run(signerCtx) })
	in.hooksDone.Go(func() { in.hooks.Run(hooksCtx) })
	if in.Guard != nil {
		in.guardDone.Go(func() { in.Guard.Run(guardCtx) })
		in.guardDone.Go(func() { in.Rights.Run(guardCtx) })
	}
	if in.share != nil {
		in.shareDone.Go(func() { in.share.keeper.Run(shareCtx) })
	}
	if in.Admin.Running { // only the daemon speaks with the peer
		in.nodeDone.Go(func() { in.node.Run(nodeCtx) })
	}
}

// poke has the devices on USB looked at: something was plugged in, or unplugged.
func (in *Instance) poke() {
	for i, d := range in.Devices {
		if in.Config.Devices[i].Transport == config.TransportUSB {
			d.Poke()
		}
	}
}

// Close lets the exchanges under way end, then ends the guard (a guard watches as long as anything is signed), the
// devices, the hooks (after the last event), and the store.
func (in *Instance) Close() error {
	in.stopShare()
	in.shareDone.Wait()
	if in.share != nil {
		in.share.leave(in.log)
	}
	in.StopNode()
	in.nodeDone.Wait()
	in.stopSigner()
	in.signerDone.Wait()
	in.stopGuard()
	in.guardDone.Wait()
	in.stopDevices()
	in.devicesDone.Wait()
	in.stopHooks()
	in.hooksDone.Wait()
	in.endAudit()
	var err error
	if in.share != nil {
		err = in.share.backend.Close()
	}
	for _, d := range in.Devices {
		err = errors.Join(err, d.close())
	}
	if in.octez != nil {
		in.octez.Close()
	}
	return errors.Join(err, in.usb.Close(), in.Store.Close())
}

// Settle waits until every device is ready, or until no further device became ready within patience: an absent device
// stays absent.
func (in *Instance) Settle(ctx context.Context, patience time.Duration) {
	timer, had := time.NewTimer(patience), 0
	defer timer.Stop()
	for _, d := range in.Devices {
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
			case <-timer.C:
			}
			ready := in.ready()
			if ready == had {
				return
			}
			had = ready
			timer.Reset(patience)
		}
	}
}

// ready is the number of ready devices.
func (in *Instance) ready() (n int) {
	for _, d := range in.Devices {
		if d.Status().Health == device.Ready {
			n++
		}
	}
	return n
}

// ExplainStore adds the advice to the errors of opening a store.
func ExplainStore(cfg *config.Config, err error) error {
	switch {
	case errors.Is(err, store.ErrMissing):
		return hints.Add(err, fmt.Sprintf("is the disk mounted (findmnt -T %s), and is state_dir the directory of "+
			"before? Find the missing file, "+
			"or bring the file back. Only for keys without any signature, "+
			"or when the old file is lost for good: make a new, "+
			"empty file: highwater init --config %s", cfg.StateDir, cfg.Path))
	case errors.Is(err, store.ErrInUse):
		return hints.Add(err, fmt.Sprintf("two signers on the same state directory would sign twice; "+
			"does a second highwater run on %s?", cfg.StateDir))
	}
	return err
}

// storeOptions are the store's options from the configuration.
func storeOptions(cfg *config.Config, opt Options) store.Options {
	o := store.Options{
		Log: opt.Log, OnCommit: opt.onCommit, Ahead: cfg.Store.Levels(), RuntimeDir: cfg.RuntimeDir(),
		Reading: opt.Running,
	}
	if !opt.Running {
		o.By = actor.Me().String()
	}
	return o
}
