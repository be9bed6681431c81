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

var _ device.Reconciler = (*Signer)(nil)

// Reconcile compares a device's own marks with the host's, at each connection. See device.Reconciler.
//
// A mark is never made here: what a device says of itself can be lost or reset, so a key without a mark stays without one. Whatever
// does not fit is an alarm as well, which outlives the connection.
func (s *Signer) Reconcile(_ context.Context, id string, marks []device.Mark) ([]device.Mark, string, error) {
	var raise []device.Mark
	var fell []string
	byKey := map[tezos.PublicKeyHash]bool{}
	for _, m := range marks {
		known, backwards, err := s.noteSeen(id, m)
		if err != nil {
			return nil, "", err
		}
		if backwards != "" {
			fell = append(fell, backwards)
			s.RaiseAlarm(AlarmBackwards, id, m.PKH.String(), id+": "+backwards, hintBackwards)
		}
		if err := s.raiseHost(id, known, m); err != nil {
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

// noteSeen remembers a device's own mark. known tells whether there was one to remember before; backwards, that it fell.
func (s *Signer) noteSeen(id string, m device.Mark) (known bool, backwards string, err error) {
	now := hwm.Position{Level: m.Level, Round: m.Round}
	before, known := s.store.Seen(id, m.PKH, m.Kind)
	if known && now.Compare(before) < 0 {
		backwards = fmt.Sprintf("the %s mark of %s on the device fell from %s to %s: it was reset, restored, or lost its memory",
			markName(m.Kind), m.PKH, before, now)
	}
	return known, backwards, s.store.SetSeen(id, m.PKH, m.Kind, now)
}

func markName(k tezos.Kind) string {
	if k == 0 {
		return "water"
	}
	return k.String()
}

// raiseHost raises the host's marks to the device's where that is ahead, and says so when it should not have been.
func (s *Signer) raiseHost(id string, known bool, m device.Mark) error {
	passed, err := s.passed(m)
	if err != nil || len(passed) == 0 {
		return err
	}
	s.suspect("device "+id, known, m, passed) // before the marks are the device's
	at := hwm.Mark{Position: hwm.Position{Level: m.Level, Round: m.Round}, At: s.now(), Source: hwm.SourceDevice}
	rows := make([]hwm.Row, 0, len(passed))
	for _, p := range passed {
		rows = append(rows, hwm.Row{Key: p.key, Mark: at})
	}
	if _, err := s.store.Raise(rows); err != nil {
		return err
	}
	s.log.Warn("device is ahead, marks raised", "device_id", id, "pkh", m.PKH.String(), "kind", markName(m.Kind),
		"level", m.Level, "round", m.Round)
	return nil
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
