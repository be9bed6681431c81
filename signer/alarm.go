package signer

import (
	"slices"
	"time"

	"highwater/hwm"
)

// AlarmName is the kind of an alarm.
type AlarmName = hwm.AlarmName

// The alarms.
const (
	// AlarmRollback: a witness knows of signatures above a mark that this instance made itself, in an earlier run.
	// The state directory may be an older copy of itself.
	AlarmRollback AlarmName = "rollback"
	// AlarmElsewhere: the same, but no older copy explains the signatures: this very process made the mark, or the
	// device is new here.
	AlarmElsewhere AlarmName = "elsewhere"
	// AlarmBackwards: a device's own mark fell.
	AlarmBackwards AlarmName = "backwards"
	// AlarmOtherChain: a device's own mark is further ahead than anything on our chain can be. The mark is not
	// believed.
	AlarmOtherChain AlarmName = "other_chain"
	// AlarmTwin: the guard saw on chain a signature of a key of ours, and this instance did not make the signature.
	// The instance fenced itself.
	AlarmTwin AlarmName = "twin"
	// AlarmUnproven: the node shows a twin's operation with a wrong signature; nothing was fenced.
	AlarmUnproven AlarmName = "unproven"
	// AlarmBothActive: both instances of a pair were signing in one epoch; both fenced themselves.
	AlarmBothActive AlarmName = "both_active"
	// AlarmSameKey: two processes run with the key of one instance of a pair, the second on a copy of the state
	// directory.
	AlarmSameKey AlarmName = "same_key"
	// AlarmDisk: a commit to the watermark file failed; nothing is signed until a restart.
	AlarmDisk AlarmName = "disk"
	// AlarmRegisterOlder: the register shared with other instances says less than it said before. It gives nobody the
	// right to sign.
	AlarmRegisterOlder AlarmName = "register_older"
)

// AlarmNames lists all names.
var AlarmNames = []AlarmName{
	AlarmRollback, AlarmElsewhere, AlarmBackwards, AlarmOtherChain, AlarmTwin, AlarmUnproven,
	AlarmBothActive, AlarmSameKey, AlarmDisk, AlarmRegisterOlder,
}

// Alarm asks an operator to look. An alarm keeps nobody from signing: where that is needed a fence stands beside the
// alarm. An alarm stays, also over a restart, until an operator acknowledges the alarm.
type Alarm = hwm.Alarm

// RaiseAlarm shows an alarm from now on, logs and keeps the alarm, and tells Config.Alarmed. A standing alarm with
// the same words stays as it is. about is the address of a key, or empty. Where keeping fails the log has the alarm.
func (s *Signer) RaiseAlarm(name AlarmName, witness, about, text, hint string) {
	a, raised := s.alarms.Raise(Alarm{
		Name: name, Witness: witness, About: about, Text: hwm.CutAlarm(text), Hint: hwm.CutAlarm(hint),
		Since: s.now().UTC().Truncate(time.Millisecond),
	})
	if !raised {
		return
	}
	s.held.Error("alarm", "alarm", string(name), "witness", witness, "text", text, "hint", hint)
	s.alarmed(a)
	s.keepAlarms()
}

// keepAlarms makes the standing alarms outlive the process.
func (s *Signer) keepAlarms() {
	if err := s.alarms.Keep(s.store.SetAlarms); err != nil {
		s.held.Error("alarms not kept", "error", err.Error())
	}
}

// Alarms lists the standing alarms, oldest first.
func (s *Signer) Alarms() []Alarm { return s.alarms.List() }

// Acknowledge ends the alarms up to this ID, the last that the operator was shown. The result still stands.
func (s *Signer) Acknowledge(upTo uint64) []Alarm {
	return s.acknowledge(func(a Alarm) bool { return a.ID <= upTo })
}

// AcknowledgeThese ends the alarms with these IDs. The result still stands.
func (s *Signer) AcknowledgeThese(ids ...uint64) []Alarm {
	return s.acknowledge(func(a Alarm) bool { return slices.Contains(ids, a.ID) })
}

func (s *Signer) acknowledge(ends func(Alarm) bool) []Alarm {
	for _, a := range s.alarms.End(ends) {
		s.held.Info("alarm acknowledged", "alarm", string(a.Name), "text", a.Text)
	}
	s.keepAlarms()
	return s.Alarms()
}
