package signer

import (
	"cmp"
	"slices"
	"strings"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
)

// KeyReason says in one word why a key cannot sign here now. For a device that is not ready the word is that of its
// health: absent, locked, wrong_app, no_app, busy, broken.
type KeyReason string

// The other reasons.
const (
	KeyStore    KeyReason = "store"       // no mark can be made durable any more
	KeyStandby  KeyReason = "standby"     // the right to sign is not here
	KeyFenced   KeyReason = "fenced"      // the instance ended signing by itself
	KeyWaiting  KeyReason = "waiting"     // the role is active, and requests are not let in
	KeyNoDevice KeyReason = "no_device"   // the devices that could hold the key are ready, and do not hold it
	KeyOtherUse KeyReason = "cannot_sign" // the device holds the key, and cannot sign a kind with it that the key may sign
	KeyNoMark   KeyReason = "no_mark"     // a kind that the key may sign has no mark
	KeyLevel    KeyReason = "level"       // the marks are there, and the next level would be refused all the same
)

// KeyFault is one reason why a key cannot sign here now.
type KeyFault struct {
	Reason KeyReason `json:"reason"`
	Device string    `json:"device,omitempty"` // the device that the fault is about; empty: none in particular
	Text   string    `json:"text"`
	Hint   string    `json:"hint,omitempty"` // what to do; may be empty
	// Note marks what is worth knowing and is no reason against readiness: the key is not in service yet.
	Note bool `json:"note,omitempty"`
	// Health is set for a fault that lies between this machine and its devices: of the device, or of the key on the
	// device.
	Health device.Health `json:"health,omitempty"`

	// Level says more of a fault of the level.
	Level *LevelHealth `json:"-"`

	cause error // as a request is told of a device's fault
}

// ofInstance tells a fault that all keys share.
func (f KeyFault) ofInstance() bool {
	return slices.Contains([]KeyReason{KeyStore, KeyStandby, KeyFenced, KeyWaiting}, f.Reason)
}

// OfDevice tells a fault that lies between this machine and its devices.
func (f KeyFault) OfDevice() bool { return f.Health != "" }

// Word is the fault in one word, that of the health for a fault of a device.
func (f KeyFault) Word() string { return cmp.Or(string(f.Health), string(f.Reason)) }

// Advice is what to do, in one line that stands beside Device and Word.
func (f KeyFault) Advice() string {
	switch {
	case f.Hint == "":
		return strings.TrimPrefix(f.Text, f.Word()+": ")
	case string(f.Reason) == string(f.Health): // the device's own advice
		return f.Hint
	}
	return f.Text + ": " + f.Hint
}

// KeyHealth is whether a key can sign here now, and why not.
type KeyHealth struct {
	PKH    tezos.PublicKeyHash
	Device string        // the device that would be asked; else the device that holds the key, or should; empty: none is known
	Spares []string      // the other devices that hold the key, or should
	Health device.Health // of the key on its device: ready, or what keeps the device from signing with it
	// New tells that the key has no mark on this chain, and that no device tells of a signature by it.
	New    bool
	Faults []KeyFault // the first stands for what to mend first; empty: a request could be signed now
}

// CanSign tells whether a request for this key could be signed now.
func (h KeyHealth) CanSign() bool { return len(h.Faults) == 0 }

// Own are the faults of this key alone: without the instance's store and role, which all keys share.
func (h KeyHealth) Own() []KeyFault {
	return slices.DeleteFunc(slices.Clone(h.Faults), KeyFault.ofInstance)
}

// Unable is the first fault that the right to sign would not mend: of the store or of the devices. Nil: given the
// right, and the marks that come with it, this instance can sign with the key.
func (h KeyHealth) Unable() *KeyFault {
	for i, f := range h.Faults {
		if f.Reason == KeyStore || f.OfDevice() {
			return &h.Faults[i]
		}
	}
	return nil
}

// KeyHealth tells whether a key can sign here now. It asks no device: it looks at what the devices said last, and
// at marks and role in memory. A key that nobody knows here is a *Denial.
func (s *Signer) KeyHealth(pkh tezos.PublicKeyHash) (KeyHealth, error) {
	key, ok := s.ring.lookup(pkh)
	if !ok {
		_, err := s.ring.find(pkh)
		return KeyHealth{PKH: pkh}, err
	}
	return s.health(key, s.lookAtDevices(), s.instanceFaults()), nil
}

// KeysHealth is KeyHealth of all keys that may be asked for, in the order of Keys.
func (s *Signer) KeysHealth() []KeyHealth {
	devices, shared := s.lookAtDevices(), s.instanceFaults()
	keys := s.ring.all()
	out := make([]KeyHealth, 0, len(keys))
	for _, key := range keys {
		out = append(out, s.health(key, devices, shared))
	}
	return out
}

func (s *Signer) health(key *ringKey, devices []Device, shared []KeyFault) KeyHealth {
	h := KeyHealth{PKH: key.pkh, Health: device.Ready, Faults: slices.Clone(shared)}
	states, err := s.states(key)
	if err != nil && len(shared) == 0 {
		h.Faults = append(h.Faults, KeyFault{Reason: KeyStore, Text: err.Error(), Hint: hints.Of(err)})
	}
	h.New = err == nil && s.isNew(key, states, devices)
	h.place(s, key, s.candidatesOf(key, devices))
	if f := s.deviceFault(key, devices); f != nil {
		h.Health, f.Note = f.Health, h.New && !s.ring.closed
		h.Faults = append(h.Faults, *f)
	}
	if err != nil {
		return h
	}
	if f := missingMark(key, states, h.New); f != nil {
		h.Faults = append(h.Faults, *f)
	} else if f := s.levelFault(key, states); f != nil {
		h.Faults = append(h.Faults, *f)
	}
	return h
}

// place names the device that would be asked, and those that hold the key besides, or should.
func (h *KeyHealth) place(s *Signer, key *ringKey, candidates []Device) {
	named := slices.DeleteFunc(slices.Clone(candidates), func(d Device) bool {
		return !holds(d, key.pkh) && !slices.Contains(key.policy.Devices, d.Name())
	})
	if len(named) == 0 {
		return
	}
	first := named[0]
	if d := s.firstUsable(named, key.pkh, key.kinds()[0]); d != nil {
		first = d
	}
	h.Device = first.Name()
	for _, d := range named {
		if d != first {
			h.Spares = append(h.Spares, d.Name())
		}
	}
}

// instanceFaults are those that all keys share: of the store, then of the role.
func (s *Signer) instanceFaults() []KeyFault {
	var out []KeyFault
	if err := s.store.Healthy(); err != nil {
		out = append(out, KeyFault{Reason: KeyStore, Text: err.Error(), Hint: hints.Of(err)})
	}
	role := s.store.Role()
	if no := s.gate.denial(func() hwm.RoleRecord { return role }); no != nil {
		reason := KeyWaiting
		switch role.Role {
		case hwm.Standby:
			reason = KeyStandby
		case hwm.Fenced:
			reason = KeyFenced
		case hwm.Active: // not now
		}
		out = append(out, KeyFault{Reason: reason, Text: no.Text, Hint: no.Hint})
	}
	return out
}

// deviceFault is what keeps the devices from signing with the key; nil when Sign would find a device for each kind.
func (s *Signer) deviceFault(key *ringKey, devices []Device) *KeyFault {
	candidates := s.candidatesOf(key, devices)
	for _, kind := range key.kinds() {
		if s.firstUsable(candidates, key.pkh, kind) == nil {
			f := s.explain(key, candidates, kind)
			return &f
		}
	}
	if _, err := s.ring.find(key.pkh); err != nil { // the device is there, and what it holds is not taken in yet
		return &KeyFault{Reason: KeyNoDevice, Text: err.Error(), Hint: hints.Of(err), Health: device.Absent, cause: err}
	}
	return nil
}

// states are the marks of all kinds that a key may sign.
func (s *Signer) states(key *ringKey) (map[tezos.Kind]hwm.State, error) {
	out := map[tezos.Kind]hwm.State{}
	for _, kind := range key.kinds() {
		st, err := s.store.State(key.mark(s.chain, kind))
		if err != nil {
			return nil, err
		}
		out[kind] = st
	}
	return out, nil
}

// isNew tells that nothing is known here of a signature by the key: no mark, and no device whose own mark for this
// key is above level 0. A Ledger's mark says nothing: it covers all keys of the device.
func (s *Signer) isNew(key *ringKey, states map[tezos.Kind]hwm.State, devices []Device) bool {
	for _, st := range states {
		if st.Mark != nil {
			return false
		}
	}
	for _, d := range devices {
		for _, kind := range tezos.Kinds {
			if p, ok := s.store.Seen(d.Status().ID, key.pkh, kind); ok && p.Level > 0 {
				return false
			}
		}
	}
	return true
}

// missingMark is the first kind that the key may sign and has no mark for.
func missingMark(key *ringKey, states map[tezos.Kind]hwm.State, isNew bool) *KeyFault {
	for _, kind := range key.kinds() {
		if states[kind].Mark == nil {
			return &KeyFault{
				Reason: KeyNoMark, Text: "the key has no " + kind.String() + " watermark", Note: isNew,
				Hint: "highwater hwm set " + key.pkh.String() + " --level LEVEL",
			}
		}
	}
	return nil
}

// levelFault tells why the key's next level would be refused although all its marks are there; nil: nothing is
// known against the level. Every rule that compares marks, floors and ceilings with where the chain is belongs
// here.
func (s *Signer) levelFault(key *ringKey, states map[tezos.Kind]hwm.State) *KeyFault {
	for _, st := range states {
		if err := s.uncapped(st); err != nil {
			return &KeyFault{Reason: KeyLevel, Text: err.Error(), Hint: hints.Of(err)}
		}
	}
	if h := s.levelHealth(key, states); !h.OK() {
		return &KeyFault{Reason: KeyLevel, Text: h.Text(key.pkh), Level: &h}
	}
	return nil
}

// InService tells whether any key is in service. Where none is, nothing could be signed, and no fault is a mere note.
func InService(keys []KeyHealth) bool {
	return slices.ContainsFunc(keys, func(h KeyHealth) bool { return !h.New })
}

// Readiness sums the health of all keys up: reasons against readiness, and notes. Faults that all keys share are
// left out.
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
	}
	return reasons, notes
}

// KeyLine is a fault with its key.
type KeyLine struct {
	PKH tezos.PublicKeyHash
	KeyFault
}
