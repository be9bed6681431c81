package signer

import (
	"context"
	"sync"

	"highwater/internal/device"
)

// Run watches the devices until ctx ends, then waits for the exchanges under way.
func (s *Signer) Run(ctx context.Context) {
	var watchers sync.WaitGroup
	for _, d := range s.devices {
		watchers.Go(func() { s.watch(ctx, d) })
	}
	watchers.Wait()
	s.gate.end()
	s.gate.drain(context.Background()) // from here on nobody starts another exchange
	s.tails.Wait()
	s.keepSigned()
}

// watch learns the keys of a device at each of its changes, and tells the requests that wait for a device.
func (s *Signer) watch(ctx context.Context, d Device) {
	for {
		changed := d.Changed()
		s.learn(d)
		s.changes.send()
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Learn makes the keys of all ready devices known now, without waiting for Run.
func (s *Signer) Learn() {
	for _, d := range s.devices {
		s.learn(d)
	}
}

func (s *Signer) learn(d Device) {
	if d.Status().Health == device.Ready {
		s.ring.learn(d, s.store, s.log)
	}
}
