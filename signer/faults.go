package signer

import (
	"highwater/hwm"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// instanceFaults are the faults of all keys alike: of the store, then of the role.
func (s *Signer) instanceFaults() []KeyFault {
	var out []KeyFault
	if err := s.store.Healthy(); err != nil {
		out = append(out, KeyFault{Reason: KeyStore, Text: err.Error(), Hint: hints.Of(err)})
	}
	role := s.store.Role()
	if no := s.gate.Denial(func() hwm.RoleRecord { return role }); no != nil {
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

// missingMark is the fault of the first kind without a mark that the key may sign.
func (s *Signer) missingMark(key *keyring.Key, states map[tezos.Kind]hwm.State, isNew bool) *KeyFault {
	for _, kind := range key.Kinds() {
		if states[kind].Mark == nil {
			return &KeyFault{
				Reason: KeyNoMark, Text: "the key has no " + kind.String() + " watermark", Note: isNew,
				Hint: hints.Level("highwater hwm set "+key.PKH.String()+" --level", s.Reached()),
			}
		}
	}
	return nil
}

// levelFault tells why the key's next level would be refused although all its marks exist; nil: nothing is known
// against the level. Every rule that compares marks, floors and ceilings with the chain's level belongs here.
func (s *Signer) levelFault(key *keyring.Key, states map[tezos.Kind]hwm.State) *KeyFault {
	for _, st := range states {
		if err := s.uncapped(st); err != nil {
			return &KeyFault{Reason: KeyLevel, Text: err.Error(), Hint: hints.Of(err)}
		}
	}
	if f := s.rightFault(key); f != nil {
		return f
	}
	if h := s.levelHealth(key, states); !h.OK() {
		return &KeyFault{Reason: KeyLevel, Text: h.Text(key.PKH), Level: &h}
	}
	return nil
}
