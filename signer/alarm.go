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
type AlarmName string

// The alarms.
const (
	// AlarmRollback: somebody knows of signatures above a mark that this instance made itself, in an earlier run: the state
	// directory may be an older copy of itself.
	AlarmRollback AlarmName = "rollback"
	// AlarmElsewhere: the same, but no older copy explains it: this very process made the mark, or the device is new here.
	AlarmElsewhere AlarmName = "elsewhere"
	// AlarmBackwards: a device's own mark is lower than it was.
	AlarmBackwards AlarmName = "backwards"
)

// AlarmNames lists them.
var AlarmNames = []AlarmName{AlarmRollback, AlarmElsewhere, AlarmBackwards}

// Alarm is something that an operator should look into. It keeps nobody from signing: there are harmless reasons for each, and the
// mark that it is about was raised already. It stays until it is acknowledged or the process ends.
type Alarm struct {
	ID    uint64    `json:"id"` // grows; an alarm whose text changed is a new one
	Name  AlarmName `json:"name"`
	Text  string    `json:"text"`
	Hint  string    `json:"hint"`
	Since time.Time `json:"since"`
}

// alarms are those that stand. There is one for each name, witness and key at most, so that they are bounded, and that a gadget's three
// marks of a key do not say one thing three times; the log has all.
type alarms struct {
	mu   sync.Mutex
	last uint64
	byAt map[alarmAt]Alarm
}

type alarmAt struct {
	name    AlarmName
	witness string
	pkh     tezos.PublicKeyHash
}

// alarm shows an alarm from now on, and logs it; one that stands already is left as it is.
func (s *Signer) alarm(at alarmAt, text, hint string) {
	s.alarms.mu.Lock()
	defer s.alarms.mu.Unlock()
	if s.alarms.byAt[at].Text == text {
		return
	}
	if s.alarms.byAt == nil {
		s.alarms.byAt = map[alarmAt]Alarm{}
	}
	s.alarms.last++
	s.alarms.byAt[at] = Alarm{ID: s.alarms.last, Name: at.name, Text: text, Hint: hint, Since: s.now().UTC().Truncate(time.Millisecond)}
	s.log.Error("alarm", "alarm", string(at.name), "witness", at.witness, "text", text, "hint", hint)
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
	s.alarms.mu.Lock()
	for at, a := range s.alarms.byAt {
		if a.ID <= upTo {
			delete(s.alarms.byAt, at)
			s.log.Info("alarm acknowledged", "alarm", string(a.Name), "text", a.Text)
		}
	}
	s.alarms.mu.Unlock()
	return s.Alarms()
}

// Witness is somebody besides the devices who may know of signatures that this state directory has forgotten: the node, by the
// operations on chain; the peer, by its marks.
type Witness interface {
	Name() string // "node", "peer"
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
	at := alarmAt{AlarmRollback, witness, m.PKH}
	theirs := hwm.Position{Level: m.Level, Round: m.Round}
	text := fmt.Sprintf("%s knows of signatures with %s up to %s (%s mark), and the last that this instance signed is the %s at %s, on %s: ",
		witness, m.PKH, theirs, markName(m.Kind), own.key.Kind, own.Mark.Position, own.Mark.At.UTC().Format("2006-01-02 15:04:05 MST"))
	hint := hintElsewhere
	switch {
	case own.Fresh:
		at.name = AlarmElsewhere
		text += "that was in this run, so something else signs with this key, or somebody set the mark higher by hand"
	case !known:
		at.name = AlarmElsewhere
		text += "it was never connected here before, so it signed elsewhere, or somebody set the mark higher by hand"
	default:
		hint = hintRollback
		text += "this state directory is older than that. Was it restored from a copy?"
		if int64(theirs.Level)-int64(own.Mark.Level) <= 1 {
			text += " (a crash in the middle of a signature leaves a device one place ahead, too)"
		}
	}
	s.alarm(at, text, hint)
}

const (
	hintRollback = "if it was restored, every other mark in it is too old as well: before anything else, highwater hwm set --all --level LEVEL, " +
		"above all that was signed since; if another host used the device, or somebody set it higher, all is well: highwater acknowledge"
	hintElsewhere = "find out what else signs with this key, and stop it; if it was you, and it has ended: highwater acknowledge"
	hintBackwards = "its own mark protects less than before, the host's hold: find out who reset or restored it, then highwater acknowledge"
)
