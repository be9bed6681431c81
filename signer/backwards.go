package signer

import (
	"fmt"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer/ownmarks"
)

// noteSeen remembers a device's own mark. known tells whether an earlier mark was remembered. backwards is the text
// of a fall: the mark is below the earlier mark, or below a signature by the device since. A fall is told once.
func (s *Signer) noteSeen(w ownmarks.Device, m device.Mark) (known bool, backwards string, err error) {
	now := hwm.Position{Level: m.Level, Round: m.Round}
	before, known := s.seen(w, m.PKH, m.Kind)
	signed, err := s.signedUpTo(w, m)
	if err != nil {
		return known, "", err
	}
	switch high := ownmarks.Higher(before, signed); {
	case now.Compare(high) >= 0:
	case s.forgot(w, m):
		s.log.Info("device forgot its mark: a Ledger whose setting High Watermark is off does so at each "+
			"power cut", "device", w.String(),
			"pkh", m.PKH.String(), "was", high.String(), "is", now.String())
		s.noteFell(w, m)
	default:
		backwards = fmt.Sprintf("the %s mark of %s on the device fell from %s to %s: the device was reset or "+
			"restored, or lost its memory",
			ownmarks.KindName(m), m.PKH, high, now)
		s.noteFell(w, m)
	}
	if backwards != "" || !known {
		if err := s.setBase(w, m); err != nil {
			return known, backwards, err
		}
	}
	return known, backwards, s.store.SetSeen(w.Key(), m.PKH, m.Kind, now)
}

// seen is the device's own mark as of its last connection. Earlier versions kept the mark by the identity alone.
func (s *Signer) seen(w ownmarks.Device, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	if p, ok := s.store.Seen(w.Key(), pkh, kind); ok {
		return p, true
	}
	return s.store.Seen(w.ID, pkh, kind)
}

// noteFell forgets the device's signatures above its mark, so that a fall is told once.
func (s *Signer) noteFell(w ownmarks.Device, m device.Mark) { s.store.NoteSigned(s.signed.Fell(w, m)) }

// signedUpTo is the highest place that is known to be signed with the device, of the mark's kind or of all kinds.
func (s *Signer) signedUpTo(w ownmarks.Device, m device.Mark) (hwm.Position, error) {
	return s.signed.UpTo(w, m, func(kind tezos.Kind) (hwm.State, error) {
		return s.store.State(hwm.Key{Chain: s.chain, PKH: m.PKH, Kind: kind})
	})
}

// basePrefix begins the name under which a device's base is kept.
const basePrefix = "base "

// setBase remembers the mark to which a device was set, or fell, or with which the device was first seen: the base. A
// device that does not write its marks down falls back to its base.
func (s *Signer) setBase(w ownmarks.Device, m device.Mark) error {
	if m.Kind != 0 {
		return nil // a gadget writes its marks down
	}
	return s.store.SetSeen(basePrefix+w.Key(), m.PKH, 0, hwm.Position{Level: m.Level, Round: m.Round})
}

// forgot tells that a device fell back to its base, as a Ledger does at each power cut whose setting High Watermark
// is off. The setting cannot be asked for.
func (s *Signer) forgot(w ownmarks.Device, m device.Mark) bool {
	base, ok := s.store.Seen(basePrefix+w.Key(), m.PKH, 0)
	return m.Kind == 0 && ok && base == hwm.Position{Level: m.Level, Round: m.Round}
}
