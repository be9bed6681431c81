package signer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// AlarmName says what kind of alarm it is.
type AlarmName = hwm.AlarmName

// The alarms.
const (
	// AlarmRollback: somebody knows of signatures above a mark that this instance made itself, in an earlier run: the state
	// directory may be an older copy of itself.
	AlarmRollback AlarmName = "rollback"
	// AlarmElsewhere: the same, but no older copy explains it: this very process made the mark, or the device is new here.
	AlarmElsewhere AlarmName = "elsewhere"
	// AlarmBackwards: a device's own mark is lower than it was.
	AlarmBackwards AlarmName = "backwards"
	// AlarmOtherChain: a device's own mark is further ahead than anything on our chain can be. It is not believed.
	AlarmOtherChain AlarmName = "other_chain"
	// AlarmTwin: the guard saw on chain what a key of ours signed and this instance did not; it fenced itself.
	AlarmTwin AlarmName = "twin"
	// AlarmUnproven: the node shows such a thing, and its signature does not verify; nothing was fenced.
	AlarmUnproven AlarmName = "unproven"
	// AlarmBothActive: both instances of a pair were signing in one epoch; both fenced themselves.
	AlarmBothActive AlarmName = "both_active"
	// AlarmSameKey: two processes run with the key of one instance of a pair, one on a copy of the other's state directory.
	AlarmSameKey AlarmName = "same_key"
	// AlarmDisk: a commit to the watermark file failed; nothing is signed until a restart.
	AlarmDisk AlarmName = "disk"
)

// AlarmNames lists them.
var AlarmNames = []AlarmName{AlarmRollback, AlarmElsewhere, AlarmBackwards, AlarmOtherChain, AlarmTwin, AlarmUnproven, AlarmBothActive, AlarmSameKey, AlarmDisk}

// Alarm is something that an operator should look into. It keeps nobody from signing: where that is needed there is a fence beside it. It
// stays, also over a restart, until it is acknowledged.
type Alarm = hwm.Alarm

// alarms are those that stand. There is one for each name, witness and key at most, so that they are bounded, and that a gadget's three
// marks of a key do not say one thing three times; the log has all.
type alarms struct {
	mu   sync.Mutex
	last uint64
	byAt map[alarmAt]Alarm
	keep sync.Mutex // one writer to the store at a time, so that the last one wrote what is
}

type alarmAt struct {
	name    AlarmName
	witness string
	about   string // a key; empty: the instance
}

func at(a Alarm) alarmAt { return alarmAt{a.Name, a.Witness, a.About} }

// recall takes over what stood when the process before ended.
func (s *Signer) recall() {
	s.alarms.byAt = map[alarmAt]Alarm{}
	for _, a := range s.store.Alarms() {
		s.alarms.byAt[at(a)] = a
		s.alarms.last = max(s.alarms.last, a.ID)
	}
}

// RaiseAlarm shows an alarm from now on, logs and keeps it, and tells Config.Alarmed; one that stands already with these words is left as
// it is. about is the address of a key, or empty. That it is not kept ends nothing: the log has it.
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
	s.log.Error("alarm", "alarm", string(name), "witness", witness, "text", text, "hint", hint)
	s.alarmed(a)
	s.keepAlarms()
}

// keepAlarms makes those that stand outlive the process.
func (s *Signer) keepAlarms() {
	s.alarms.keep.Lock()
	err := s.store.SetAlarms(s.Alarms())
	s.alarms.keep.Unlock()
	if err != nil {
		s.log.Error("alarms not kept", "error", err.Error())
	}
}

// Alarms lists those that stand, oldest first.
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

// Acknowledge ends the alarms up to the one with this ID: those that the operator was shown. It returns what still stands.
func (s *Signer) Acknowledge(upTo uint64) []Alarm {
	return s.acknowledge(func(a Alarm) bool { return a.ID <= upTo })
}

// AcknowledgeThese ends the alarms with these IDs, and returns what still stands.
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
		s.log.Info("alarm acknowledged", "alarm", string(a.Name), "text", a.Text)
	}
	s.keepAlarms()
	return s.Alarms()
}

// Witness is somebody besides the devices who may know of signatures that this state directory has forgotten: the node, by the
// operations on chain. What the other instance of a pair knows is looked at before this one signs at all (package failover).
type Witness interface {
	Name() string // "node"
	// LastSigned gives the highest place at which each key is known to have signed; Kind is zero when the kind is not known.
	LastSigned(ctx context.Context, keys []tezos.PublicKeyHash) ([]device.Mark, error)
}

// Consult asks a witness and raises an alarm for each mark that this instance made itself and that the witness is ahead of. It
// changes no mark: what to do about it is for who asks.
func (s *Signer) Consult(ctx context.Context, w Witness) error {
	var keys []tezos.PublicKeyHash
	for _, k := range s.ring.all() {
		keys = append(keys, k.pkh)
	}
	marks, err := w.LastSigned(ctx, keys)
	if err != nil {
		return fmt.Errorf("ask the %s what was signed: %w", w.Name(), err)
	}
	for _, m := range marks {
		passed, err := s.passed(m)
		if err != nil {
			return err
		}
		s.suspect("the "+w.Name(), true, m, passed)
	}
	return nil
}

// passedMark is a mark of the host that somebody else is above.
type passedMark struct {
	key hwm.Key
	hwm.State
}

// suspect raises an alarm when a witness is above a mark that a request to this instance made: it has made none higher since, as
// far as this state directory knows. known tells whether the witness was met before with this state directory.
//
// A mark that an operator, a file or a device set is no evidence: whoever set it did so for what was signed elsewhere.
func (s *Signer) suspect(witness string, known bool, m device.Mark, passed []passedMark) {
	var own *passedMark
	for i, p := range passed {
		if p.Mark.Source == hwm.SourceSigned && (own == nil || p.Mark.Above(*own.Mark)) {
			own = &passed[i]
		}
	}
	if own == nil {
		return
	}
	name := AlarmRollback
	theirs := hwm.Position{Level: m.Level, Round: m.Round}
	text := fmt.Sprintf("%s knows of signatures with %s up to %s (%s mark), and the last that this instance signed is the %s at %s, on %s: ",
		witness, m.PKH, theirs, markName(m.Kind), own.key.Kind, own.Mark.Position, own.Mark.At.UTC().Format("2006-01-02 15:04:05 MST"))
	hint := hintElsewhere
	switch {
	case own.Fresh:
		name = AlarmElsewhere
		text += "that was in this run, so something else signs with this key, or somebody set the mark higher by hand"
	case !known:
		name = AlarmElsewhere
		text += "it was never connected here before, so it signed elsewhere, or somebody set the mark higher by hand"
	default:
		hint = hintRollback
		text += "this state directory is older than that. Was it restored from a copy?"
	}
	s.RaiseAlarm(name, witness, m.PKH.String(), text, hint)
}

const (
	hintRollback = "if it was restored, every other mark in it is too old as well: before anything else, highwater hwm set --all --level LEVEL, " +
		"above all that was signed since; if another host used the device, or somebody set it higher, all is well: highwater acknowledge"
	hintElsewhere = "find out what else signs with this key, and stop it; if it was you, and it has ended: highwater acknowledge"
	hintBackwards = "its own mark protects less than before, the host's hold: find out who reset or restored it, then highwater acknowledge"
)
