package signer

import (
	"context"
	"fmt"
	"math"
	"strings"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

var (
	_ device.Reconciler = (*Signer)(nil)
	_ device.MarkSetter = (*Signer)(nil)
	_ device.Reconciler = (*reconciler)(nil)
	_ device.MarkSetter = (*reconciler)(nil)
)

// reconciler is the Signer for one configured device. What is remembered of a device goes by its name here as well as by its identity:
// two Ledgers of one seed share the identity.
type reconciler struct {
	s    *Signer
	name string
}

// Reconciler is what compares the marks of the device of this name. See device.Reconciler and device.MarkSetter.
func (s *Signer) Reconciler(name string) device.Reconciler { return &reconciler{s, name} }

// Reconcile is that of the Reconciler for a device without a name.
func (s *Signer) Reconcile(ctx context.Context, id string, marks []device.Mark) ([]device.Mark, string, error) {
	return s.Reconciler("").Reconcile(ctx, id, marks)
}

// Reconcile compares a device's own marks with the host's, at each connection. See device.Reconciler.
//
// A mark is never made here: what a device says of itself can be lost or reset, so a key without a mark stays without one. Whatever
// does not fit is an alarm as well, which outlives the connection.
func (r *reconciler) Reconcile(_ context.Context, id string, marks []device.Mark) ([]device.Mark, string, error) {
	s := r.s
	w := s.with.connected(r.name, id)
	var raise []device.Mark
	var fell []string
	byKey := map[tezos.PublicKeyHash]bool{}
	s.strange.forget(w.name, marks)
	for _, m := range marks {
		known, backwards, err := s.noteSeen(w, m)
		if err != nil {
			return nil, "", err
		}
		if backwards != "" {
			fell = append(fell, backwards)
			s.RaiseAlarm(AlarmBackwards, w.String(), m.PKH.String(), w.String()+": "+backwards, hintBackwards)
		}
		if err := s.raiseHost(w, known, m); err != nil {
			return nil, "", err
		}
		if !byKey[m.PKH] {
			byKey[m.PKH] = true
			if level, ok := s.room(m.PKH); ok {
				raise = append(raise, device.Mark{PKH: m.PKH, Level: level})
			}
		}
	}
	return raise, strings.Join(fell, "; "), nil
}

// noteSeen remembers a device's own mark. known tells whether there was one to remember before; backwards, that it is below what it was, or
// below what was signed with it since. A fall is told once.
func (s *Signer) noteSeen(w witnessed, m device.Mark) (known bool, backwards string, err error) {
	now := hwm.Position{Level: m.Level, Round: m.Round}
	before, known := s.seen(w, m.PKH, m.Kind)
	signed, err := s.signedUpTo(w, m)
	if err != nil {
		return known, "", err
	}
	switch high := higher(before, signed); {
	case now.Compare(high) >= 0:
	case s.forgot(w, m):
		s.log.Info("device forgot its mark, as a Ledger does after a power cut whose setting High Watermark is off", "device", w.String(),
			"pkh", m.PKH.String(), "was", high.String(), "is", now.String())
		s.noteFell(w, m)
	default:
		backwards = fmt.Sprintf("the %s mark of %s on the device fell from %s to %s: it was reset, restored, or lost its memory",
			markName(m.Kind), m.PKH, high, now)
		s.noteFell(w, m)
	}
	if backwards != "" || !known {
		if err := s.setBase(w, m); err != nil {
			return known, backwards, err
		}
	}
	return known, backwards, s.store.SetSeen(w.key(), m.PKH, m.Kind, now)
}

func higher(p, q hwm.Position) hwm.Position {
	if p.Compare(q) >= 0 {
		return p
	}
	return q
}

func markName(k tezos.Kind) string {
	if k == 0 {
		return "water"
	}
	return k.String()
}

// raiseHost raises the host's marks to the device's where that is ahead, and says so when it should not have been.
func (s *Signer) raiseHost(w witnessed, known bool, m device.Mark) error {
	passed, err := s.passed(m)
	if err != nil || len(passed) == 0 {
		return err
	}
	limit, err := s.Limit(m.PKH)
	if err != nil {
		return err
	}
	if !limit.Allows(m.Level) {
		s.disbelieve(w.name, m, limit)
		return nil
	}
	interrupted, err := s.interrupted(m, passed)
	if err != nil {
		return err
	}
	if known && interrupted {
		s.log.Warn("device is one place ahead: a request was interrupted when this program ended, and its signature never left", "device", w.String(),
			"pkh", m.PKH.String(), "kind", markName(m.Kind), "level", m.Level, "round", m.Round)
	} else {
		s.suspect("device "+w.String(), known, m, passed) // before the marks are the device's
	}
	if err := s.raiseTo(m, passed, hwm.SourceDevice); err != nil {
		return err
	}
	s.log.Warn("device is ahead, marks raised", "device", w.name, "device_id", w.id, "pkh", m.PKH.String(), "kind", markName(m.Kind),
		"level", m.Level, "round", m.Round)
	return nil
}

func (s *Signer) raiseTo(m device.Mark, passed []passedMark, source hwm.Source) error {
	if len(passed) == 0 {
		return nil
	}
	at := hwm.Mark{Position: hwm.Position{Level: m.Level, Round: m.Round}, At: s.now(), Source: source}
	rows := make([]hwm.Row, 0, len(passed))
	for _, p := range passed {
		rows = append(rows, hwm.Row{Key: p.key, Mark: at})
	}
	_, err := s.store.Raise(rows)
	return err
}

// interrupted tells that a device is ahead by no more than what a process leaves that is killed in the middle of a request: before its
// mark was durable, and with the device at work. That is one place: the device's mark is not beyond the level after the highest of the
// key's own marks, of any kind, and those are of an earlier run.
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
		if p.Fresh { // made by this process, which was not killed
			return false, nil
		}
	}
	return own >= 0 && int64(m.Level) <= int64(own)+1, nil
}

// passed gives the marks of the host that another's mark is above: that of its kind; or, for one mark that covers all kinds, all of
// them when it is above every one, and none otherwise.
func (s *Signer) passed(m device.Mark) ([]passedMark, error) {
	kinds := []tezos.Kind{m.Kind}
	if m.Kind == 0 {
		kinds = tezos.Kinds
	}
	var out []passedMark
	for _, kind := range kinds {
		key := hwm.Key{Chain: s.chain, PKH: m.PKH, Kind: kind}
		st, err := s.store.State(key)
		if err != nil {
			return nil, err
		}
		if st.Mark == nil {
			continue
		}
		if st.Mark.Compare(hwm.Position{Level: m.Level, Round: m.Round}) >= 0 {
			return nil, nil
		}
		out = append(out, passedMark{key, st})
	}
	return out, nil
}

// room is the level to which a device may be raised for a key, when the key has all marks that it may sign with: the lowest of what
// each of them allows.
func (s *Signer) room(pkh tezos.PublicKeyHash) (int32, bool) {
	k, ok := s.ring.lookup(pkh)
	if !ok {
		return 0, false
	}
	lowest := int32(math.MaxInt32)
	for _, kind := range k.kinds() {
		st, err := s.store.State(k.mark(s.chain, kind))
		if err != nil {
			return 0, false
		}
		level, ok := hwm.Room(st, pkh.Curve)
		if !ok {
			return 0, false
		}
		lowest = min(lowest, level)
	}
	return lowest, len(k.kinds()) > 0
}
