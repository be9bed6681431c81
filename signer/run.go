package signer

import (
	"context"
	"sync"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/signer/keyring"
)

// Run watches the devices until ctx ends, then waits for the exchanges under way.
func (s *Signer) Run(ctx context.Context) {
	var watchers sync.WaitGroup
	for _, d := range s.devices {
		watchers.Go(func() { s.watch(ctx, d) })
	}
	watchers.Wait()
	s.gate.End()
	s.gate.Drain(context.Background()) // from here on nobody starts another exchange
	s.tails.Wait()
	s.store.NoteSigned(s.signed.All())
}

// watch learns the keys of a device at each of its changes, and tells the requests that wait for a device.
func (s *Signer) watch(ctx context.Context, d Device) {
	for {
		changed := d.Changed()
		s.learn(d)
		s.changes.Send()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Learn makes the keys of all ready devices known now, without waiting for Run.
func (s *Signer) Learn() {
	var found []hwm.KnownKey
	first := map[string]int{} // by public key: a key of several devices is remembered once, with its first device
	for _, d := range s.devices {
		for _, k := range s.learned(d) {
			i, known := first[k.PublicKey]
			if !known {
				first[k.PublicKey] = len(found)
				found = append(found, k)
				continue
			}
			k.Device = found[i].Device
			found[i] = k
		}
	}
	keyring.Remember(found, s.store, s.log)
}

func (s *Signer) learn(d Device) { keyring.Remember(s.learned(d), s.store, s.log) }

// learned takes in the keys of a ready device.
func (s *Signer) learned(d Device) []hwm.KnownKey {
	if d.Status().Health != device.Ready {
		return nil
	}
	return s.ring.Learn(d, s.store)
}
