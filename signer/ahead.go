package signer

import (
	"context"
	"fmt"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer/ownmarks"
)

// raiseHost raises the host's marks to the device's where the device is ahead, and says so when the device should not
// have been.
func (s *Signer) raiseHost(w ownmarks.Device, known bool, m device.Mark) error {
	passed, err := s.passed(m)
	if err != nil || len(passed) == 0 {
		return err
	}
	limit, err := s.Limit(m.PKH)
	if err != nil {
		return err
	}
	if !limit.Allows(m.Level) {
		s.disbelieve(w.Name, m, limit)
		return nil
	}
	interrupted, err := s.interrupted(m, passed)
	if err != nil {
		return err
	}
	if known && interrupted {
		s.log.Warn("device is one place ahead: the end of the last run interrupted a request, and no "+
			"signature left", "device", w.String(),
			"pkh", m.PKH.String(), "kind", ownmarks.KindName(m), "level", m.Level, "round", m.Round)
	} else {
		s.suspect("device "+w.String(), known, m, passed) // before the marks are the device's
	}
	if err := s.raiseTo(m, passed, hwm.SourceDevice); err != nil {
		return err
	}
	s.log.Warn("device is ahead, marks raised", "device", w.Name, "device_id", w.ID, "pkh", m.PKH.String(),
		"kind", ownmarks.KindName(m),
		"level", m.Level, "round", m.Round)
	return nil
}

// interrupted tells that a device is one place ahead: as far as a process leaves the device when killed in the middle
// of a request, with the mark not durable and the device at work. The device's mark is not beyond the level after the
// highest of the key's own marks, of any kind, and those marks are of an earlier run.
func (s *Signer) interrupted(m device.Mark, passed []passedMark) (bool, error) {
	own := int32(-1)
	for _, key := range hwm.KeysOf(s.chain, m.PKH) {
		st, err := s.store.State(key)
		if err != nil {
			return false, err
		}
		if st.Mark != nil && st.Mark.Source == hwm.SourceSigned {
			own = max(own, st.Mark.Level)
		}
	}
	for _, p := range passed {
		if p.Fresh { // this process made the mark, and was not killed
			return false, nil
		}
	}
	return own >= 0 && int64(m.Level) <= int64(own)+1, nil
}

// Witness knows, beside the devices, of signatures that this state directory may have forgotten: the node, by the
// operations on chain. The other instance of a pair is asked before this instance signs at all (package failover).
type Witness interface {
	Name() string // "node"
	// LastSigned gives the highest place at which each key is known to have signed; Kind is zero when the kind is not
	// known.
	LastSigned(ctx context.Context, keys []tezos.PublicKeyHash) ([]device.Mark, error)
}

// Consult asks a witness, and raises an alarm for each mark of this instance's own making that the witness is ahead
// of. Consult changes no mark: the caller decides.
func (s *Signer) Consult(ctx context.Context, w Witness) error {
	var keys []tezos.PublicKeyHash
	for _, k := range s.ring.All() {
		keys = append(keys, k.PKH)
	}
	marks, err := w.LastSigned(ctx, keys)
	if err != nil {
		return fmt.Errorf("ask the %s for the signed levels: %w", w.Name(), err)
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

// suspect raises an alarm when a witness is above a mark that a request to this instance made: the last, as far as
// this state directory knows. known tells whether the witness was met before with this state directory.
//
// A mark set by an operator, a file or a device is no evidence: such a mark stands for signatures made elsewhere.
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
	text := fmt.Sprintf("%s knows of signatures with %s up to %s (%s mark), and this instance last signed the %s at "+
		"%s, on %s: ",
		witness, m.PKH, theirs, ownmarks.KindName(m), own.key.Kind, own.Mark.Position,
		own.Mark.At.UTC().Format("2006-01-02 15:04:05 MST"))
	hint := hintElsewhere
	switch {
	case own.Fresh:
		name = AlarmElsewhere
		text += "the present run signed the last place: a second program signs with the key, " +
			"or somebody set the mark " +
			"higher by hand"
	case !known:
		name = AlarmElsewhere
		text += "the device was never connected here before: the device signed elsewhere, or somebody set the mark " +
			"higher by hand"
	default:
		hint = s.hintRollback(int64(m.Level))
		text += "this state directory is older than the signatures. Was the directory restored from a copy?"
	}
	s.RaiseAlarm(name, witness, m.PKH.String(), text, hint)
}

// hintRollback is the advice where a witness knows of signatures up to a level.
func (s *Signer) hintRollback(level int64) string {
	return "if the directory was restored, all its marks are too old: before anything else, above every level signed " +
		"since, " + hints.Level("highwater hwm set --all --level", max(level, s.Reached())) +
		"; if a second host used the device, or somebody set the mark higher, all is well: highwater acknowledge"
}

const (
	hintElsewhere = "find and stop the second signer of the key; if the signer was yours, and has " +
		"ended: highwater acknowledge"
	hintBackwards = "the device's own mark protects less than before; the host's marks hold. Find the cause, then " +
		"highwater acknowledge"
)
