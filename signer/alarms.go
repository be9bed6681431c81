package signer

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"highwater/hwm"
)

// alarms are the alarms that stand: at most one for each name, witness and key. So the list is bounded, and a
// gadget's three marks of a key do not say the same three times; the log has all.
type alarms struct {
	mu   sync.Mutex
	last uint64
	byAt map[alarmAt]Alarm
	keep sync.Mutex // a single writer to the store at a time: the last write is the newest list
}

type alarmAt struct {
	name    AlarmName
	witness string
	about   string // a key; empty: the instance
}

func at(a Alarm) alarmAt { return alarmAt{a.Name, a.Witness, a.About} }

// recall takes over the alarms of the process before.
func (s *Signer) recall() {
	s.alarms.byAt = map[alarmAt]Alarm{}
	for _, a := range s.store.Alarms() {
		s.alarms.byAt[at(a)] = a
		s.alarms.last = max(s.alarms.last, a.ID)
	}
}

// RaiseAlarm shows an alarm from now on, logs and keeps the alarm, and tells Config.Alarmed. A standing alarm with
// the same words stays as it is. about is the address of a key, or empty. Where keeping fails the log has the alarm.
func (s *Signer) RaiseAlarm(name AlarmName, witness, about, text, hint string) {
	a := Alarm{Name: name, Witness: witness, About: about, Text: hwm.CutAlarm(text), Hint: hwm.CutAlarm(hint), Since: s.now().UTC().Truncate(time.Millisecond)}
	s.alarms.mu.Lock()
	if s.alarms.byAt[at(a)].Text == a.Text {
		s.alarms.mu.Unlock()
		return
	}
	s.alarms.last++
	a.ID = s.alarms.last
	s.alarms.byAt[at(a)] = a
	s.alarms.mu.Unlock()
	s.held.Error("alarm", "alarm", string(name), "witness", witness, "text", text, "hint", hint)
	s.alarmed(a)
	s.keepAlarms()
}

// keepAlarms makes the standing alarms outlive the process.
func (s *Signer) keepAlarms() {
	s.alarms.keep.Lock()
	err := s.store.SetAlarms(s.Alarms())
	s.alarms.keep.Unlock()
	if err != nil {
		s.held.Error("alarms not kept", "error", err.Error())
	}
}

// Alarms lists the standing alarms, oldest first.
func (s *Signer) Alarms() []Alarm {
	s.alarms.mu.Lock()
	defer s.alarms.mu.Unlock()
	out := make([]Alarm, 0, len(s.alarms.byAt))
	for _, a := range s.alarms.byAt {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Alarm) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Acknowledge ends the alarms up to this ID, the last that the operator was shown. The result still stands.
func (s *Signer) Acknowledge(upTo uint64) []Alarm {
	return s.acknowledge(func(a Alarm) bool { return a.ID <= upTo })
}

// AcknowledgeThese ends the alarms with these IDs. The result still stands.
func (s *Signer) AcknowledgeThese(ids ...uint64) []Alarm {
	return s.acknowledge(func(a Alarm) bool { return slices.Contains(ids, a.ID) })
}

func (s *Signer) acknowledge(ends func(Alarm) bool) []Alarm {
	var ended []Alarm
	s.alarms.mu.Lock()
	for key, a := range s.alarms.byAt {
		if ends(a) {
			delete(s.alarms.byAt, key)
			ended = append(ended, a)
		}
	}
	s.alarms.mu.Unlock()
	for _, a := range ended {
		s.held.Info("alarm acknowledged", "alarm", string(a.Name), "text", a.Text)
	}
	s.keepAlarms()
	return s.Alarms()
}
