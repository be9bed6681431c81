package signer

import (
	"slices"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// KeyHealth is whether a key can sign here now, and why not.
type KeyHealth struct {
	PKH    tezos.PublicKeyHash
	Device string        // the device to ask; else a device that holds the key, or should; empty: none is known
	Spares []string      // further devices that hold the key, or should
	Health device.Health // of the key on its device: ready, or the reason why the device does not sign with the key
	// New: the key has no mark on this chain, and no device tells of a signature by the key.
	New    bool
	Faults []KeyFault // mend the first fault first; empty: a request could be signed now
	// NoSpares are notes of devices that are meant for the key and ready, and do not hold the key, beside a device that
	// signs.
	NoSpares []KeyFault
}

// CanSign tells whether a request for this key could be signed now.
func (h KeyHealth) CanSign() bool { return len(h.Faults) == 0 }

// Own are the faults of this key alone: without the instance's store and role.
func (h KeyHealth) Own() []KeyFault {
	return slices.DeleteFunc(slices.Clone(h.Faults), KeyFault.ofInstance)
}

// Unable is the first fault that the right to sign would not mend: of the store or of the devices. Nil: given the
// right and its marks, this instance can sign with the key.
func (h KeyHealth) Unable() *KeyFault {
	for i, f := range h.Faults {
		if f.Reason == KeyStore || f.OfDevice() {
			return &h.Faults[i]
		}
	}
	return nil
}

// KeyHealth tells whether a key can sign here now. KeyHealth asks no device: the devices' last words, the marks and
// the role are in memory. A key that nobody knows here is a *Denial.
func (s *Signer) KeyHealth(pkh tezos.PublicKeyHash) (KeyHealth, error) {
	key, ok := s.ring.Lookup(pkh)
	if !ok {
		_, err := s.ring.Find(pkh)
		return KeyHealth{PKH: pkh}, err
	}
	return s.health(key, s.look(), s.instanceFaults()), nil
}

// KeysHealth is KeyHealth of all keys that may be asked for, in the order of Keys.
func (s *Signer) KeysHealth() []KeyHealth {
	devices, shared := s.look(), s.instanceFaults()
	keys := s.ring.All()
	out := make([]KeyHealth, 0, len(keys))
	for _, key := range keys {
		out = append(out, s.health(key, devices, shared))
	}
	return out
}

// look takes in the last words of all devices, and their own marks as of their last connections.
func (s *Signer) look() *keyring.Look {
	l := s.ring.Look(s.devices)
	s.store.EachSeen(l.NoteSeen)
	return l
}

func (s *Signer) health(key *keyring.Key, devices *keyring.Look, shared []KeyFault) KeyHealth {
	h := KeyHealth{PKH: key.PKH, Health: device.Ready, Faults: slices.Clone(shared)}
	states, err := s.states(key)
	if err != nil && len(shared) == 0 {
		h.Faults = append(h.Faults, KeyFault{Reason: KeyStore, Text: err.Error(), Hint: hints.Of(err)})
	}
	h.New = err == nil && isNew(states, devices.Signed(key.PKH))
	candidates := devices.Candidates(key, s.store)
	h.place(s, key, candidates)
	if f := s.deviceFault(key, candidates); f != nil {
		h.Health, f.Note = f.Health, h.New && !s.ring.Closed
		h.Faults = append(h.Faults, *f)
	} else {
		h.NoSpares = noSpares(key, devices)
	}
	if err != nil {
		return h
	}
	if f := s.missingMark(key, states, h.New); f != nil {
		h.Faults = append(h.Faults, *f)
	} else if f := s.levelFault(key, states); f != nil {
		h.Faults = append(h.Faults, *f)
	}
	return h
}

// place names the device that would be asked, and further devices that hold the key, or should.
func (h *KeyHealth) place(s *Signer, key *keyring.Key, candidates []Device) {
	named := slices.DeleteFunc(slices.Clone(candidates), func(d Device) bool {
		return !keyring.Holds(d, key.PKH) && !slices.Contains(key.Policy.Devices, d.Name())
	})
	if len(named) == 0 {
		return
	}
	first := named[0]
	if d := s.firstUsable(named, key.PKH, key.Kinds()[0]); d != nil {
		first = d
	}
	h.Device = first.Name()
	for _, d := range named {
		if d != first {
			h.Spares = append(h.Spares, d.Name())
		}
	}
}

// noSpares are the devices that the configuration means for the key, and that are ready without the key.
func noSpares(key *keyring.Key, devices *keyring.Look) (out []KeyFault) {
	for _, d := range devices.Meant(key) {
		if d.Status().Health != device.Ready || keyring.Holds(d, key.PKH) {
			continue
		}
		out = append(out, KeyFault{
			Reason: KeyNoDevice, Device: d.Name(), Note: true,
			Text: "device " + d.Name() + " is ready and does not hold the key, so it is no spare",
			Hint: "put the key on the device, or take the device out of the configuration; see: highwater keys list",
		})
	}
	return out
}

// states are the marks of all kinds that a key may sign.
func (s *Signer) states(key *keyring.Key) (map[tezos.Kind]hwm.State, error) {
	out := map[tezos.Kind]hwm.State{}
	for _, kind := range key.Kinds() {
		st, err := s.store.State(key.Mark(s.chain, kind))
		if err != nil {
			return nil, err
		}
		out[kind] = st
	}
	return out, nil
}

// isNew tells that nothing is known here of a signature by the key: no mark, and no device whose own mark for this
// key is above level 0 (signed). A Ledger's mark says nothing, since the mark covers all keys of the device.
func isNew(states map[tezos.Kind]hwm.State, signed bool) bool {
	for _, st := range states {
		if st.Mark != nil {
			return false
		}
	}
	return !signed
}

// KeyLine is a fault with its key.
type KeyLine struct {
	PKH tezos.PublicKeyHash
	KeyFault
}

// InService tells whether any key is in service. Where none is, nothing could be signed, and no fault is a mere note.
func InService(keys []KeyHealth) bool {
	return slices.ContainsFunc(keys, func(h KeyHealth) bool { return !h.New })
}

// Readiness sums the health of all keys up: reasons against readiness, and notes. Faults of all keys alike are left
// out.
func Readiness(keys []KeyHealth) (reasons, notes []KeyLine) {
	inService := InService(keys)
	for _, h := range keys {
		for _, f := range h.Own() {
			line := KeyLine{h.PKH, f}
			if f.Note && inService {
				notes = append(notes, line)
			} else {
				reasons = append(reasons, line)
			}
		}
		for _, f := range h.NoSpares {
			notes = append(notes, KeyLine{h.PKH, f})
		}
	}
	return reasons, notes
}
