package signer

import (
	"maps"
	"sync"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// witnessed is a connected device, by its name in the configuration and by its identity. The name may be empty.
type witnessed struct{ name, id string }

// key is what is remembered of the device under. The separator is in no name and no identity.
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

// seen is the mark that the device had of itself when it was last connected. Earlier versions kept it by the identity alone.
func (s *Signer) seen(w witnessed, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	if p, ok := s.store.Seen(w.key(), pkh, kind); ok {
		return p, true
	}
	return s.store.Seen(w.id, pkh, kind)
}

// signedWith knows which device made the last signature of each key and kind, and up to where each other device did. A device that lost
// its memory is found out by it: what was signed counts, and not only what was seen at a connection.
//
// On disk it changes when another device takes over, and not at each signature: for the device that made the last one the host's own
// mark says the rest.
type signedWith struct {
	mu   sync.Mutex
	ids  map[string]witnessed // of the devices that were connected in this run, by their names
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

// noteSigned is called with each signature, before it is kept. It costs a look into a map unless another device made the last one.
func (s *Signer) noteSigned(key *ringKey, name string, req tezos.Request) {
	w := &s.with
	w.mu.Lock()
	who, ok := w.ids[name]
	if !ok { // a device whose marks nobody compares
		w.mu.Unlock()
		return
	}
	at := hwm.Position{Level: req.Level, Round: req.Round}
	by := hwm.SignedBy{Device: who.key(), PKH: key.pkh, Kind: req.Kind}
	if w.upTo[by].Open { // at most one device is
		w.upTo[by] = hwm.SignedUpTo{Position: at, Open: true}
		w.mu.Unlock()
		return
	}
	changed := w.takeOver(by, at)
	w.mu.Unlock()
	s.store.NoteSigned(changed)
}

// keepSigned writes down what only the memory knows, when the signer ends: the last mark may be that of a request without a signature.
func (s *Signer) keepSigned() {
	s.with.mu.Lock()
	all := maps.Clone(s.with.upTo)
	s.with.mu.Unlock()
	s.store.NoteSigned(all)
}

// takeOver closes what other devices have open, and opens by. The caller holds the lock.
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
		if st.Mark != nil && st.Mark.Source == hwm.SourceSigned && !st.Mark.Signature.IsZero() { // it was signed, and not only asked for
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

// noteFell forgets what was signed with the device above its mark: the fall is told, and is told once.
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

// setBase remembers the mark to which a device was set, or fell, or with which it was first seen: the one to which a device falls back
// that does not write its marks down.
func (s *Signer) setBase(w witnessed, m device.Mark) error {
	if m.Kind != 0 {
		return nil // a gadget writes them down
	}
	return s.store.SetSeen(basePrefix+w.key(), m.PKH, 0, hwm.Position{Level: m.Level, Round: m.Round})
}

// forgot tells that a device fell back to its base: a Ledger whose setting High Watermark is off does so at each power cut, and its
// setting cannot be asked for.
func (s *Signer) forgot(w witnessed, m device.Mark) bool {
	base, ok := s.store.Seen(basePrefix+w.key(), m.PKH, 0)
	return m.Kind == 0 && ok && base == hwm.Position{Level: m.Level, Round: m.Round}
}

// SetMarks is that of the Reconciler for a device without a name.
func (s *Signer) SetMarks(id string, marks []device.Mark) error {
	return (&reconciler{s, ""}).SetMarks(id, marks)
}

// SetMarks is told of marks that an operator set on the device. See device.MarkSetter.
func (r *reconciler) SetMarks(id string, marks []device.Mark) error {
	w := r.s.with.connected(r.name, id)
	for _, m := range marks {
		passed, err := r.s.passed(m)
		if err != nil {
			return err
		}
		if err := r.s.raiseTo(m, passed, hwm.SourceSet); err != nil {
			return err
		}
		r.s.noteFell(w, m)
		if err := r.s.setBase(w, m); err != nil {
			return err
		}
		if err := r.s.store.SetSeen(w.key(), m.PKH, m.Kind, hwm.Position{Level: m.Level, Round: m.Round}); err != nil {
			return err
		}
	}
	return nil
}
