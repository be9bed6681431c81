// Package alarms keeps the standing alarms, until an operator acknowledges each.
package alarms

import (
	"cmp"
	"slices"
	"sync"

	"highwater/hwm"
)

// Standing are the alarms that stand: a single alarm for each name, witness and key. So the list is bounded, and a
// gadget's three marks of a key do not say the same three times; the log has all. The zero value is empty.
type Standing struct {
	mu   sync.Mutex
	last uint64
	byAt map[place]hwm.Alarm
	keep sync.Mutex // a single writer to the store at a time: the last write is the newest list
}

type place struct {
	name    hwm.AlarmName
	witness string
	about   string // a key; empty: the instance
}

func at(a hwm.Alarm) place { return place{a.Name, a.Witness, a.About} }

// Recall takes over the alarms of the process before.
func (s *Standing) Recall(kept []hwm.Alarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byAt = map[place]hwm.Alarm{}
	for _, a := range kept {
		s.byAt[at(a)] = a
		s.last = max(s.last, a.ID)
	}
}

// Raise numbers an alarm and adds it. False: an alarm with the same words stands already, and stays as it is.
func (s *Standing) Raise(a hwm.Alarm) (hwm.Alarm, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAt[at(a)].Text == a.Text {
		return a, false
	}
	s.last++
	a.ID = s.last
	s.byAt[at(a)] = a
	return a, true
}

// Stands tells whether an alarm of this name, witness and key stands, with any words.
func (s *Standing) Stands(name hwm.AlarmName, witness, about string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, stands := s.byAt[place{name, witness, about}]
	return stands
}

// Keep gives the list to save, a single writer at a time.
func (s *Standing) Keep(save func([]hwm.Alarm) error) error {
	s.keep.Lock()
	defer s.keep.Unlock()
	return save(s.List())
}

// List gives the standing alarms, oldest first.
func (s *Standing) List() []hwm.Alarm {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]hwm.Alarm, 0, len(s.byAt))
	for _, a := range s.byAt {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b hwm.Alarm) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// End takes alarms out of the list, and gives them.
func (s *Standing) End(ends func(hwm.Alarm) bool) (ended []hwm.Alarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, a := range s.byAt {
		if ends(a) {
			delete(s.byAt, key)
			ended = append(ended, a)
		}
	}
	return ended
}
