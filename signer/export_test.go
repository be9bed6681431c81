package signer

import (
	"context"
	"time"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// LocksFree tells whether nobody holds a lock of the signer now: each lock is taken, and given back, by its own use.
func (s *Signer) LocksFree() bool {
	if !s.roleMu.TryLock() {
		return false
	}
	s.roleMu.Unlock()
	free := make(chan bool, 1)
	go func() {
		s.gate.Between(func() {})
		_ = s.alarms.Keep(func([]hwm.Alarm) error { return nil })
		s.Learn()
		now, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		for _, k := range s.ring.All() {
			for _, kind := range tezos.Kinds {
				l, err := k.Lock(now, kind, nil)
				if err != nil {
					free <- false
					return
				}
				l.Unlock()
			}
		}
		free <- true
	}()
	select {
	case ok := <-free:
		return ok
	case <-time.After(time.Second):
		return false
	}
}
