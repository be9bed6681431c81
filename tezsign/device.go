package tezsign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/internal/usb"
)

// Config is one gadget, as the operator describes it.
type Config struct {
	Name   string   // the operator's name for it
	Serial string   // what pins it; empty: the only one connected
	Open   OpenFunc // transport
	Chain  tezos.ChainID
	// Aliases are the keys to use; empty: all that the gadget has.
	Aliases []string
	// Passphrase unlocks the keys after each connection; nil leaves that to the operator. Nothing is signed while it is asked, so
	// it should not be a prompt.
	Passphrase PassphraseSource
	Log        *slog.Logger
}

// Device keeps one gadget connected, its keys unlocked when it has a passphrase, and its marks compared with the host's; and
// lends it to one signature at a time. Its methods are safe for concurrent use.
type Device struct {
	cfg     Config
	owner   *device.Owner[*link]
	manager *Manager
	late    lateAnswers

	reconciler device.Reconciler // set before Run

	mu      sync.Mutex
	keys    []KeyState                    // as last seen, those wanted
	allowed map[tezos.PublicKeyHash]int32 // what the host said last that their marks may be raised to
	torn    bool                          // a frame was cut off while it was sent: nothing is written before the gadget was gone once
	refused map[string]bool               // aliases that the source's passphrase did not unlock: an operator must look
}

// Kind is the word for this kind of device in the configuration.
const Kind = "tezsign"

// New makes a device; nothing happens before Run.
func New(cfg Config) *Device {
	d := &Device{
		cfg:     cfg,
		refused: map[string]bool{},
		manager: NewManager(ManagerConfig{Name: cfg.Name, Serial: cfg.Serial, Open: cfg.Open, Log: cfg.Log}),
	}
	d.owner = device.NewOwner(cfg.Name, device.Driver[*link](driver{d}), cfg.Log)
	return d
}

// Name is the operator's name for the gadget.
func (d *Device) Name() string { return d.cfg.Name }

// Kind is "tezsign".
func (d *Device) Kind() string { return Kind }

// Status is the gadget's state now.
func (d *Device) Status() device.Status { return d.owner.Status() }

// Changed is closed at the next change of Status or Keys.
func (d *Device) Changed() <-chan struct{} { return d.owner.Changed() }

// Poke makes the device look for its gadget now: a hot-plug event came.
func (d *Device) Poke() { d.owner.Poke() }

// SetReconciler sets who compares marks; call it before Run.
func (d *Device) SetReconciler(r device.Reconciler) { d.reconciler = r }

// Run connects, unlocks, reconciles, probes and reconnects until ctx ends.
func (d *Device) Run(ctx context.Context) {
	var looking sync.WaitGroup
	looking.Go(func() { d.watchLocked(ctx) })
	d.owner.Run(ctx)
	looking.Wait()
}

// lockedLook is how often a gadget with locked keys is looked at: another program may have unlocked them.
const lockedLook = time.Second

func (d *Device) watchLocked(ctx context.Context) {
	tick := time.NewTicker(lockedLook)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if d.anyUnusable() {
			d.owner.Poke()
		}
	}
}

func (d *Device) anyUnusable() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.keys, func(k KeyState) bool { return k.usable() != "" })
}

// Keys are the wanted keys as they were last seen; also of a gadget that is not connected now.
func (d *Device) Keys() []device.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]device.Key, 0, len(d.keys))
	for _, k := range d.keys {
		out = append(out, device.Key{
			PublicKey: k.PublicKey, Alias: k.Alias, Kinds: slices.Clone(tezos.Kinds), Usable: k.usable(),
		})
	}
	return out
}

// Prove gives the proof of possession of a key, as the gadget reported it, verified under the key.
func (d *Device) Prove(_ context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error) {
	d.mu.Lock()
	at := slices.IndexFunc(d.keys, func(k KeyState) bool { return k.PKH == pkh })
	var k KeyState
	if at >= 0 {
		k = d.keys[at]
	}
	d.mu.Unlock()
	if at < 0 {
		return tezos.Signature{}, &device.Error{Device: d.cfg.Name, Health: d.Status().Health, Err: fmt.Errorf("%s: %w", pkh, device.ErrNoKey)}
	}
	proof, err := k.Proof()
	if err != nil {
		return tezos.Signature{}, &device.Error{Device: d.cfg.Name, Health: device.Broken, Err: err}
	}
	return proof, nil
}

// Turn waits for the gadget to be connected and free, first come first served, and lends it.
func (d *Device) Turn(ctx context.Context) (device.Turn, error) {
	l, release, err := d.owner.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &turn{d: d, link: l, release: release}, nil
}

// publish shows the link's keys to the world.
func (d *Device) publish(l *link) {
	d.mu.Lock()
	before := d.keys
	d.keys = slices.Clone(l.keys)
	d.mu.Unlock()
	if !slices.EqualFunc(before, l.keys, func(a, b KeyState) bool {
		return a.Alias == b.Alias && a.PKH == b.PKH && a.usable() == b.usable()
	}) {
		d.owner.Notify()
	}
}

// fault makes a *device.Error of what went wrong with the signing channel, or on the way to it.
func (d *Device) fault(err error) *device.Error {
	out := &device.Error{Device: d.cfg.Name, Health: device.Absent, Retry: true, Err: err}
	var le *linkError
	var re *RemoteError
	if errors.As(err, &le) && le.torn {
		d.setTorn(true)
	}
	switch {
	case errors.Is(err, ErrWedged), le != nil && le.torn:
		out.Health, out.Hint = device.Broken, powerCycle
	case errors.Is(err, usb.ErrNoUSB):
		out.Health, out.Retry = device.Broken, false
	case usb.HintText(err) != "": // no permission
		out.Hint = usb.HintText(err)
	case errors.Is(err, ErrAmbiguous):
		out.Health, out.Hint = device.Broken, "set serial in the device's section, or connect one gadget at a time"
	case errors.Is(err, ErrInUse):
		out.Health, out.Hint = device.Busy, "another program has claimed the gadget's signing interface: stop it"
	case errors.Is(err, ErrStarting):
		out.Hint = "wait for the gadget to start"
	case errors.Is(err, ErrGone):
		out.Hint = "plug the gadget in"
	case errors.Is(err, ErrAnswer), errors.As(err, &re):
		out.Health, out.Hint = device.Broken, "the gadget's answers make no sense: check its version"
	case errors.Is(err, ErrNoAnswer):
		out.Hint = "the gadget is connected but silent: if it stays so, power-cycle it"
	case le != nil:
		out.Hint = "check the cable"
	}
	return out
}

const powerCycle = "power-cycle the gadget: unplug it, wait two seconds, plug it in again; then its keys need unlocking"

// SetTiming changes how often the device looks for its gadget, and how often it asks an idle one for a sign of life; call it before
// Run.
func (d *Device) SetTiming(tick, probe time.Duration) { d.owner.SetTiming(tick, probe) }
