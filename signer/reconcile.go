package signer

import (
	"context"
	"fmt"
	"strings"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

var _ device.Reconciler = (*Signer)(nil)

// Reconcile compares a device's own marks with the host's, at each connection. See device.Reconciler.
//
// A mark is never made here: what a device says of itself can be lost or reset, so a key without a mark stays without one.
func (s *Signer) Reconcile(_ context.Context, id string, marks []device.Mark) ([]device.Mark, string, error) {
	var raise []device.Mark
	var alarms []string
	byKey := map[tezos.PublicKeyHash]bool{}
	for _, m := range marks {
		backwards, err := s.noteSeen(id, m)
		if err != nil {
			return nil, "", err
		}
		if backwards != "" {
			alarms = append(alarms, backwards)
		}
		if err := s.raiseHost(id, m); err != nil {
			return nil, "", err
		}
		if !byKey[m.PKH] {
			byKey[m.PKH] = true
			if level, ok := s.lowest(m.PKH); ok {
				raise = append(raise, device.Mark{PKH: m.PKH, Level: level})
			}
		}
	}
	alarm := strings.Join(alarms, "; ")
	if alarm != "" {
		s.log.Error("device went backwards", "device_id", id, "alarm", alarm)
	}
	return raise, alarm, nil
}

func (s *Signer) noteSeen(id string, m device.Mark) (alarm string, err error) {
	now := hwm.Position{Level: m.Level, Round: m.Round}
	if before, ok := s.store.Seen(id, m.PKH, m.Kind); ok && now.Compare(before) < 0 {
		alarm = fmt.Sprintf("the %s mark of %s on the device fell from %s to %s: it was reset, restored, or lost its memory",
			markName(m.Kind), m.PKH, before, now)
	}
	return alarm, s.store.SetSeen(id, m.PKH, m.Kind, now)
}

func markName(k tezos.Kind) string {
	if k == 0 {
		return "water"
	}
	return k.String()
}

// raiseHost raises the host's marks to the device's where that is ahead: kind by kind, or, for one mark that covers all kinds,
// all of them when it is above every one.
func (s *Signer) raiseHost(id string, m device.Mark) error {
	kinds := []tezos.Kind{m.Kind}
	if m.Kind == 0 {
		kinds = tezos.Kinds
	}
	at := hwm.Mark{Position: hwm.Position{Level: m.Level, Round: m.Round}, At: s.now(), Source: hwm.SourceDevice}
	var rows []hwm.Row
	for _, kind := range kinds {
		key := hwm.Key{Chain: s.chain, PKH: m.PKH, Kind: kind}
		st, err := s.store.State(key)
		if err != nil {
			return err
		}
		if st.Mark == nil {
			continue
		}
		if !at.Above(*st.Mark) {
			if m.Kind == 0 {
				return nil
			}
			continue
		}
		rows = append(rows, hwm.Row{Key: key, Mark: at})
	}
	if len(rows) == 0 {
		return nil
	}
	if _, err := s.store.Raise(rows); err != nil {
		return err
	}
	s.log.Warn("device is ahead, marks raised", "device_id", id, "pkh", m.PKH.String(), "kind", markName(m.Kind),
		"level", m.Level, "round", m.Round)
	return nil
}

// lowest is the lowest level of the host's marks for a key, when it has all that it may sign with.
func (s *Signer) lowest(pkh tezos.PublicKeyHash) (int32, bool) {
	k, ok := s.ring.lookup(pkh)
	if !ok {
		return 0, false
	}
	var level int32
	for i, kind := range k.kinds() {
		st, err := s.store.State(k.mark(s.chain, kind))
		if err != nil || st.Mark == nil {
			return 0, false
		}
		if i == 0 || st.Mark.Level < level {
			level = st.Mark.Level
		}
	}
	return level, true
}
