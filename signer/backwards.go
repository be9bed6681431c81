package signer

import (
	"fmt"
	"maps"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// noteSeen remembers a device's own mark. known tells whether an earlier mark was remembered. backwards is the text
// of a fall: the mark is below the earlier mark, or below a signature by the device since. A fall is told once.
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
		s.log.Info("device forgot its mark: a Ledger whose setting High Watermark is off does so at each "+
			"power cut", "device", w.String(),
			"pkh", m.PKH.String(), "was", high.String(), "is", now.String())
		s.noteFell(w, m)
	default:
		backwards = fmt.Sprintf("the %s mark of %s on the device fell from %s to %s: the device was reset or "+
			"restored, or lost its memory",
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

// seen is the device's own mark as of its last connection. Earlier versions kept the mark by the identity alone.
func (s *Signer) seen(w witnessed, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	if p, ok := s.store.Seen(w.key(), pkh, kind); ok {
		return p, true
	}
	return s.store.Seen(w.id, pkh, kind)
}

// noteFell forgets the device's signatures above its mark, so that a fall is told once.
func (s *Signer) noteFell(who witnessed, m device.Mark) {
	s.with.mu.Lock()
	changed := map[hwm.SignedBy]hwm.SignedUpTo{}
	for _, kind := range kindsOf(m) {
		by := hwm.SignedBy{Device: who.key(), PKH: m.PKH, Kind: kind}
		if _, ok := s.with.upTo[by]; ok {
			changed[by] = hwm.SignedUpTo{Position: hwm.Position{Level: m.Level, Round: m.Round}}
		}
	}
	maps.Copy(s.with.upTo, changed)
	s.with.mu.Unlock()
	s.store.NoteSigned(changed)
}

// basePrefix begins the name under which a device's base is kept.
const basePrefix = "base "

// setBase remembers the mark to which a device was set, or fell, or with which the device was first seen: the base. A
// device that does not write its marks down falls back to its base.
func (s *Signer) setBase(w witnessed, m device.Mark) error {
	if m.Kind != 0 {
		return nil // a gadget writes its marks down
	}
	return s.store.SetSeen(basePrefix+w.key(), m.PKH, 0, hwm.Position{Level: m.Level, Round: m.Round})
}

// forgot tells that a device fell back to its base, as a Ledger does at each power cut whose setting High Watermark
// is off. The setting cannot be asked for.
func (s *Signer) forgot(w witnessed, m device.Mark) bool {
	base, ok := s.store.Seen(basePrefix+w.key(), m.PKH, 0)
	return m.Kind == 0 && ok && base == hwm.Position{Level: m.Level, Round: m.Round}
}

func higher(p, q hwm.Position) hwm.Position {
	if p.Compare(q) >= 0 {
		return p
	}
	return q
}
