package signer

import (
	"context"
	"errors"
	"slices"
	"time"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// heldTurn is a turn at a device that may be changed for another one when the device fails.
type heldTurn struct {
	device Device
	turn   device.Turn // nil once given back
}

func (t *heldTurn) name() string { return t.device.Name() }

func (t *heldTurn) end() {
	if t.turn != nil {
		t.turn.Done()
		t.turn = nil
	}
}

// turn waits for a device that holds the key, is ready and free: the first in the order of preference, the spare when that one
// is not ready. Waiting obeys ctx.
func (s *Signer) turn(ctx context.Context, key *ringKey, kind tezos.Kind) (*heldTurn, error) {
	for {
		changed := s.changes.wait()
		candidates := s.found(key, changed)
		if d := s.firstUsable(candidates, key.pkh, kind); d != nil {
			waiting, cancel := whileReady(ctx, d, len(candidates) > 1)
			t, err := d.Turn(waiting)
			cancel()
			if err == nil {
				return &heldTurn{d, t}, nil
			}
			if ctx.Err() != nil {
				return nil, err
			}
			if len(candidates) == 1 {
				return nil, err
			}
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, s.unavailable(key, candidates, kind)
		}
	}
}

// found gives the candidates of the last search, as long as no device has changed since: changed is the broadcast's channel. Among
// dozens of devices a search takes as long as a hash.
func (s *Signer) found(key *ringKey, changed <-chan struct{}) []Device {
	if last := key.last.Load(); last != nil && last.until == changed {
		return last.found
	}
	found := s.candidates(key)
	key.last.Store(&search{found, changed})
	return found
}

// search is what a search found, which is good until the channel is closed.
type search struct {
	found []Device
	until <-chan struct{}
}

// candidates are the devices that may hold the key: those of its policy, or all, in order.
func (s *Signer) candidates(key *ringKey) []Device { return s.candidatesOf(key, s.devices) }

func (s *Signer) candidatesOf(key *ringKey, devices []Device) []Device {
	var out []Device
	if len(key.policy.Devices) == 0 {
		for _, d := range devices {
			if holds(d, key.pkh) || d.Status().Health != device.Ready {
				out = append(out, d)
			}
		}
		return out
	}
	for _, name := range key.policy.Devices {
		for _, d := range devices {
			if d.Name() == name {
				out = append(out, d)
			}
		}
	}
	return out
}

func holds(d Device, pkh tezos.PublicKeyHash) bool {
	_, ok := keyOn(d, pkh)
	return ok
}

func keyOn(d Device, pkh tezos.PublicKeyHash) (device.Key, bool) {
	if at, ok := d.(*lookedAt); ok {
		k, held := at.byHash[pkh]
		return k, held
	}
	for _, k := range d.Keys() {
		if k.PublicKey.Hash() == pkh {
			return k, true
		}
	}
	return device.Key{}, false
}

func (s *Signer) firstUsable(candidates []Device, pkh tezos.PublicKeyHash, kind tezos.Kind) Device {
	for _, d := range candidates {
		if d.Status().Health != device.Ready {
			continue
		}
		if k, ok := keyOn(d, pkh); ok && k.Usable == "" && slices.Contains(k.Kinds, kind) && !s.isStrange(d, pkh) {
			return d
		}
	}
	return nil
}

// whileReady ends a wait at a device when it stops being ready, if there is a spare to turn to.
func whileReady(ctx context.Context, d Device, spare bool) (context.Context, context.CancelFunc) {
	if !spare {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			changed := d.Changed()
			if d.Status().Health != device.Ready {
				cancel()
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ctx, func() { cancel(); <-done }
}

// maxAsks is how often one request's bytes may reach a device: once, and once more when the answer was lost.
const maxAsks = 2

// ask asks the device for the signature. A fault is absorbed: wait for the device to return, or for the spare, and ask again
// for the same bytes, within the request's budget.
func (s *Signer) ask(
	ctx context.Context, key *ringKey, turn *heldTurn, kind tezos.Kind, payload []byte, out *outcome,
) (tezos.Signature, error) {
	asked := 0
	for {
		start := time.Now()
		out.reached(StageDevice, turn.name())
		sig, err := turn.turn.Sign(context.WithoutCancel(ctx), key.pkh, payload)
		out.device(turn.name(), time.Since(start))
		var de *device.Error
		if err == nil || !errors.As(err, &de) || !de.Retry {
			turn.end()
			return sig, err
		}
		if de.Asked {
			asked++
		}
		turn.end()
		if asked >= maxAsks || ctx.Err() != nil {
			return tezos.Signature{}, err
		}
		s.log.Warn("device fault, asking again", "device", turn.name(), "error", err)
		again, turnErr := s.turn(ctx, key, kind)
		if turnErr != nil {
			return tezos.Signature{}, errors.Join(err, turnErr)
		}
		*turn = *again
	}
}
