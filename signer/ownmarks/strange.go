package ownmarks

import (
	"sync"
	"sync/atomic"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Strange has the devices with a mark not believed. The device is not used for the mark's key.
type Strange struct {
	any   atomic.Bool // whether any exists: most requests look no further
	mu    sync.Mutex
	marks map[strangeMark]device.Mark // the highest mark not believed
}

type strangeMark struct {
	device string // the name
	pkh    tezos.PublicKeyHash
}

// Any tells whether any device has a mark not believed.
func (s *Strange) Any() bool { return s.any.Load() }

// Forget begins a new look at a device: its present marks count.
func (s *Strange) Forget(name string, marks []device.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range marks {
		delete(s.marks, strangeMark{name, m.PKH})
	}
	s.any.Store(len(s.marks) > 0)
}

// Add keeps the highest mark not believed of a device.
func (s *Strange) Add(name string, m device.Mark) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.marks == nil {
		s.marks = map[strangeMark]device.Mark{}
	}
	at := strangeMark{name, m.PKH}
	if have, ok := s.marks[at]; !ok || m.Level > have.Level {
		s.marks[at] = m
	}
	s.any.Store(true)
}

// Find gives the mark of a device for a key that is not believed.
func (s *Strange) Find(name string, pkh tezos.PublicKeyHash) (device.Mark, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok := s.marks[strangeMark{name, pkh}]
	return m, ok
}
