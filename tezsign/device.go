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

// Config is one gadget, as the operator describes the gadget.
type Config struct {
	Name   string   // the operator's name for the gadget
	Serial string   // pins the gadget; empty: the only connected gadget
	Open   OpenFunc // transport
	Chain  tezos.ChainID
	// Aliases are the keys to use; empty: all keys of the gadget.
	Aliases []string
	// Passphrase unlocks the keys after each connection; nil leaves unlocking to the operator. Signing waits for the
	// passphrase: do not use a prompt as a source.
	Passphrase PassphraseSource
	Log        *slog.Logger
}

// Device keeps one gadget connected, unlocks the gadget's keys with the passphrase, if any, compares the gadget's
// marks with the host's, and lends the gadget to one signature at a time. The methods are safe for concurrent use.
type Device struct {
	cfg     Config
	owner   *device.Owner[*link]
	manager *Manager
	late    lateAnswers

	reconciler device.Reconciler // set before Run

	mu   sync.Mutex
	keys []KeyState // the wanted keys, as last seen
	// the levels up to which the host allows raising the gadget's marks, as of the last comparison
	allowed map[tezos.PublicKeyHash]int32
	torn    bool            // a frame was cut off on its way: write nothing until the gadget has left the bus once
	refused map[string]bool // aliases that the source's passphrase did not unlock: an operator must look
}

// Kind is the word for TezSign gadgets in the configuration.
const Kind = "tezsign"

// New makes a device. Nothing happens before Run.
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

// Poke makes the driver look for the gadget now: a hot-plug event came.
func (d *Device) Poke() { d.owner.Poke() }

// SetReconciler installs the reconciler. Call SetReconciler before Run.
func (d *Device) SetReconciler(r device.Reconciler) { d.reconciler = r }

// Run connects, unlocks, reconciles, probes and reconnects until ctx ends.
func (d *Device) Run(ctx context.Context) {
	var looking sync.WaitGroup
	looking.Go(func() { d.watchLocked(ctx) })
	d.owner.Run(ctx)
	looking.Wait()
}

// lockedLook is the time between two looks at a gadget with locked keys: another program may have unlocked the keys.
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

// Keys are the wanted keys as last seen, also while the gadget is not connected.
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

// Prove returns a key's proof of possession as the gadget reported the proof, verified under the key.
func (d *Device) Prove(_ context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error) {
	d.mu.Lock()
	at := slices.IndexFunc(d.keys, func(k KeyState) bool { return k.PKH == pkh })
	var k KeyState
	if at >= 0 {
		k = d.keys[at]
	}
	d.mu.Unlock()
	if at < 0 {
		return tezos.Signature{}, &device.Error{
			Device: d.cfg.Name, Health: d.Status().Health, Err: fmt.Errorf("%s: %w", pkh, device.ErrNoKey),
		}
	}
	proof, err := k.Proof()
	if err != nil {
		return tezos.Signature{}, &device.Error{Device: d.cfg.Name, Health: device.Broken, Err: err}
	}
	return proof, nil
}

// Turn waits for the gadget to be connected and free, first come first served, and lends the gadget.
func (d *Device) Turn(ctx context.Context) (device.Turn, error) {
	l, release, err := d.owner.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	return &turn{d: d, link: l, release: release}, nil
}

// publish shows the link's keys to readers of Keys.
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

// fault makes a *device.Error of an error of the signing channel, or of an error on the way to the channel.
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
		out.Health, out.Hint = device.Broken, "set serial in the device's section, or connect a single gadget"
	case errors.Is(err, ErrInUse):
		out.Health, out.Hint = device.Busy, "another program has claimed the gadget's signing interface: stop the program"
	case errors.Is(err, ErrStarting):
		out.Hint = "wait for the gadget to start"
	case errors.Is(err, ErrGone):
		out.Hint = "plug the gadget in"
	case errors.Is(err, ErrAnswer), errors.As(err, &re):
		out.Health, out.Hint = device.Broken, "the gadget's answers make no sense: check its version"
	case errors.Is(err, ErrNoAnswer):
		out.Hint = "the gadget is connected but silent: wait, and power-cycle a gadget that stays silent"
	case le != nil:
		out.Hint = "check the cable"
	}
	return out
}

const powerCycle = "power-cycle the gadget: unplug the gadget, wait two seconds, plug it in again; " +
	"after that unlock the keys"

// SetTiming changes the time between two looks for the gadget, and the time between two signs of life of an idle
// gadget. Call SetTiming before Run.
func (d *Device) SetTiming(tick, probe time.Duration) { d.owner.SetTiming(tick, probe) }
