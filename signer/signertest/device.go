package signertest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"highwater/internal/device"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// Script stands before a device's own work: its error is the device's answer; an empty signature lets the device work.
type Script func(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error)

// Slow is a script: the device takes its time.
func Slow(d time.Duration) Script {
	return func(context.Context, tezos.PublicKeyHash, []byte) (tezos.Signature, error) {
		<-time.After(d)
		return tezos.Signature{}, nil
	}
}

// Device is a signer.Device with keys in memory, and with accidents decided by a test. A Device is safe for concurrent
// use.
type Device struct {
	name  string
	baton chan struct{}

	mu      sync.Mutex
	keys    []*softkey.Key
	status  device.Status
	changed chan struct{}
	asked   [][]byte
	script  Script
}

// NewDevice makes a ready device that holds keys.
func NewDevice(name string, keys ...*softkey.Key) *Device {
	d := &Device{
		name: name, keys: keys, baton: make(chan struct{}, 1), status: device.Status{Health: device.Ready},
		changed: make(chan struct{}),
	}
	d.baton <- struct{}{}
	return d
}

// Become changes the device's health, and wakes the waiters for a change.
func (d *Device) Become(h device.Health) { d.SetStatus(func(st *device.Status) { st.Health = h }) }

// SetStatus changes the device's status, and wakes the waiters for a change.
func (d *Device) SetStatus(change func(*device.Status)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.status)
	close(d.changed)
	d.changed = make(chan struct{})
}

// Script puts a script before the device's own work; nil takes the script away.
func (d *Device) Script(f Script) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.script = f
}

// Hold makes the device hold these keys instead.
func (d *Device) Hold(keys ...*softkey.Key) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keys = keys
}

// Held are the keys that the device holds.
func (d *Device) Held() []*softkey.Key {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.keys)
}

// Asks are the payloads that the device was asked to sign, in order.
func (d *Device) Asks() (out [][]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.asked {
		out = append(out, bytes.Clone(b))
	}
	return out
}

// Name is the device's name.
func (d *Device) Name() string { return d.name }

// Status is the device's status.
func (d *Device) Status() device.Status {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status
}

// Changed is closed at the next change of Status.
func (d *Device) Changed() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Keys are the device's keys, each for all kinds.
func (d *Device) Keys() (out []device.Key) {
	for _, k := range d.Held() {
		out = append(out, device.Key{PublicKey: k.PublicKey(), Alias: d.name, Kinds: tezos.Kinds})
	}
	return out
}

// Turn waits until the device is free. When ctx ends first the error is a *device.Error: busy.
func (d *Device) Turn(ctx context.Context) (device.Turn, error) {
	select {
	case <-d.baton:
		return turn{d}, nil
	case <-ctx.Done():
		return nil, &device.Error{Device: d.name, Health: device.Busy, Retry: true, Err: errors.New("busy")}
	}
}

type turn struct{ d *Device }

func (t turn) Done() { t.d.baton <- struct{}{} }

func (t turn) Sign(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
	t.d.mu.Lock()
	t.d.asked = append(t.d.asked, bytes.Clone(payload))
	script := t.d.script
	t.d.mu.Unlock()
	if script != nil {
		if sig, err := script(ctx, pkh, payload); err != nil || !sig.IsZero() {
			return sig, err
		}
	}
	for _, k := range t.d.Held() {
		if k.PublicKey().Hash() == pkh {
			return k.Sign(payload), nil
		}
	}
	return tezos.Signature{}, &device.Error{Device: t.d.name, Health: device.Ready, Err: device.ErrNoKey}
}
