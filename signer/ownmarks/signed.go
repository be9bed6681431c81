package ownmarks

import (
	"maps"
	"sync"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Signed knows for each key and kind which device made the last signature, and up to where every other device
// signed. So a device that lost its memory is found out by its signatures, and not only by its marks at a connection.
//
// The disk is written when another device takes over, and not at each signature: for the device that made the last
// signature the host's own mark says the rest.
type Signed struct {
	mu   sync.Mutex
	ids  map[string]Device // the devices connected in the present run, by name
	upTo map[hwm.SignedBy]hwm.SignedUpTo
}

// Recall takes over the memory of the process before.
func (s *Signed) Recall(kept map[hwm.SignedBy]hwm.SignedUpTo) {
	s.ids, s.upTo = map[string]Device{}, map[hwm.SignedBy]hwm.SignedUpTo{}
	maps.Copy(s.upTo, kept)
}

// Connected notes the present device of a name.
func (s *Signed) Connected(name, id string) Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Device{name, id}
	s.ids[name] = out
	return out
}

// Note is called with each signature, and gives the rows to write down. The cost is a look into a map, unless another
// device made the last signature.
func (s *Signed) Note(name string, pkh tezos.PublicKeyHash, kind tezos.Kind, at hwm.Position) map[hwm.SignedBy]hwm.SignedUpTo {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, ok := s.ids[name]
	if !ok { // nobody compares the marks of this device
		return nil
	}
	by := hwm.SignedBy{Device: d.Key(), PKH: pkh, Kind: kind}
	if s.upTo[by].Open { // at most one device is open
		s.upTo[by] = hwm.SignedUpTo{Position: at, Open: true}
		return nil
	}
	return s.takeOver(by, at)
}

// takeOver closes the open rows of further devices, and opens by. The caller holds the lock.
func (s *Signed) takeOver(by hwm.SignedBy, at hwm.Position) map[hwm.SignedBy]hwm.SignedUpTo {
	changed := map[hwm.SignedBy]hwm.SignedUpTo{}
	for other, upTo := range s.upTo {
		if other.PKH == by.PKH && other.Kind == by.Kind && other != by && upTo.Open {
			changed[other] = hwm.SignedUpTo{Position: upTo.Position}
		}
	}
	changed[by] = hwm.SignedUpTo{Position: at, Open: true}
	maps.Copy(s.upTo, changed)
	return changed
}

// Fell forgets a device's signatures above its mark, so that a fall is told once, and gives the rows to write down.
func (s *Signed) Fell(d Device, m device.Mark) map[hwm.SignedBy]hwm.SignedUpTo {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed := map[hwm.SignedBy]hwm.SignedUpTo{}
	for _, kind := range Kinds(m) {
		by := hwm.SignedBy{Device: d.Key(), PKH: m.PKH, Kind: kind}
		if _, ok := s.upTo[by]; ok {
			changed[by] = hwm.SignedUpTo{Position: hwm.Position{Level: m.Level, Round: m.Round}}
		}
	}
	maps.Copy(s.upTo, changed)
	return changed
}

// All gives the whole memory, to be written down when the signer ends: the last mark may be of a request without a
// signature.
func (s *Signed) All() map[hwm.SignedBy]hwm.SignedUpTo {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.upTo)
}

// UpTo is the highest place that is known to be signed with the device, of the mark's kind or of all kinds. host gives
// the host's mark of a kind; no other device takes over meanwhile.
func (s *Signed) UpTo(d Device, m device.Mark, host func(tezos.Kind) (hwm.State, error)) (high hwm.Position, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range Kinds(m) {
		upTo, ok := s.upTo[hwm.SignedBy{Device: d.Key(), PKH: m.PKH, Kind: kind}]
		if !ok {
			continue
		}
		high = Higher(high, upTo.Position)
		if !upTo.Open {
			continue
		}
		st, err := host(kind)
		if err != nil {
			return high, err
		}
		// signed, and not only asked for
		if st.Mark != nil && st.Mark.Source == hwm.SourceSigned && !st.Mark.Signature.IsZero() {
			high = Higher(high, st.Mark.Position)
		}
	}
	return high, nil
}

// Higher is the higher of two places.
func Higher(p, q hwm.Position) hwm.Position {
	if p.Compare(q) >= 0 {
		return p
	}
	return q
}
