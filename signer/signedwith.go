package signer

import (
	"maps"
	"sync"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// witnessed is a connected device, by its name in the configuration and its identity. The name may be empty.
type witnessed struct{ name, id string }

// key is the name under which memories of the device are kept. The separator is in no name and no identity.
func (w witnessed) key() string {
	if w.name == "" {
		return w.id
	}
	return w.name + "\n" + w.id
}

func (w witnessed) String() string {
	if w.name == "" {
		return w.id
	}
	return w.name + " (" + w.id + ")"
}

// signedWith knows for each key and kind which device made the last signature, and up to where every other device
// signed. So a device that lost its memory is found out by its signatures, and not only by its marks at a connection.
//
// The disk is written when another device takes over, and not at each signature: for the device that made the last
// signature the host's own mark says the rest.
type signedWith struct {
	mu   sync.Mutex
	ids  map[string]witnessed // the devices that were connected in this run, by name
	upTo map[hwm.SignedBy]hwm.SignedUpTo
}

func (w *signedWith) recall(kept map[hwm.SignedBy]hwm.SignedUpTo) {
	w.ids, w.upTo = map[string]witnessed{}, map[hwm.SignedBy]hwm.SignedUpTo{}
	maps.Copy(w.upTo, kept)
}

func (w *signedWith) connected(name, id string) witnessed {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := witnessed{name, id}
	w.ids[name] = out
	return out
}

// noteSigned is called with each signature, before the signature is kept. The cost is a look into a map, unless
// another device made the last signature.
func (s *Signer) noteSigned(key *keyring.Key, name string, req tezos.Request) {
	w := &s.with
	w.mu.Lock()
	who, ok := w.ids[name]
	if !ok { // nobody compares the marks of this device
		w.mu.Unlock()
		return
	}
	at := hwm.Position{Level: req.Level, Round: req.Round}
	by := hwm.SignedBy{Device: who.key(), PKH: key.PKH, Kind: req.Kind}
	if w.upTo[by].Open { // at most one device is open
		w.upTo[by] = hwm.SignedUpTo{Position: at, Open: true}
		w.mu.Unlock()
		return
	}
	changed := w.takeOver(by, at)
	w.mu.Unlock()
	s.store.NoteSigned(changed)
}

// keepSigned writes down the memory when the signer ends: the last mark may be of a request without a signature.
func (s *Signer) keepSigned() {
	s.with.mu.Lock()
	all := maps.Clone(s.with.upTo)
	s.with.mu.Unlock()
	s.store.NoteSigned(all)
}

// takeOver closes the open rows of further devices, and opens by. The caller holds the lock.
func (w *signedWith) takeOver(by hwm.SignedBy, at hwm.Position) map[hwm.SignedBy]hwm.SignedUpTo {
	changed := map[hwm.SignedBy]hwm.SignedUpTo{}
	for other, upTo := range w.upTo {
		if other.PKH == by.PKH && other.Kind == by.Kind && other != by && upTo.Open {
			changed[other] = hwm.SignedUpTo{Position: upTo.Position}
		}
	}
	changed[by] = hwm.SignedUpTo{Position: at, Open: true}
	maps.Copy(w.upTo, changed)
	return changed
}

// signedUpTo is the highest place that is known to be signed with the device, of the mark's kind or of all kinds.
func (s *Signer) signedUpTo(who witnessed, m device.Mark) (high hwm.Position, err error) {
	s.with.mu.Lock()
	defer s.with.mu.Unlock()
	for _, kind := range kindsOf(m) {
		upTo, ok := s.with.upTo[hwm.SignedBy{Device: who.key(), PKH: m.PKH, Kind: kind}]
		if !ok {
			continue
		}
		high = higher(high, upTo.Position)
		if !upTo.Open {
			continue
		}
		st, err := s.store.State(hwm.Key{Chain: s.chain, PKH: m.PKH, Kind: kind})
		if err != nil {
			return high, err
		}
		if st.Mark != nil && st.Mark.Source == hwm.SourceSigned && !st.Mark.Signature.IsZero() { // signed, and not only asked for
			high = higher(high, st.Mark.Position)
		}
	}
	return high, nil
}

func kindsOf(m device.Mark) []tezos.Kind {
	if m.Kind == 0 {
		return tezos.Kinds
	}
	return []tezos.Kind{m.Kind}
}
