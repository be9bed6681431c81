package signer

import (
	"fmt"
	"slices"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/hints"
	"highwater/internal/tezos"
	"highwater/signer/ownmarks"
)

const unusableStrange = "the device's own mark is far above the chain: used on another chain? The device is not used " +
	"for the key"

// hintStrange is the advice for the device of a name.
func (s *Signer) hintStrange(name string) string {
	return "sign for our chain with a second device. A Ledger's mark can be put back: " +
		hints.Level("highwater ledger reset --device "+name+" --level", s.Reached()) +
		". If our chain has really reached the device's level: highwater hwm import --device " + name + " --far"
}

// disbelieve keeps a device away from a key, until an operator decides: the device's mark moves none of ours, and the
// device is not asked.
func (s *Signer) disbelieve(name string, m device.Mark, limit hwm.Limit) {
	s.strange.Add(name, m)
	s.held.Warn("device is too far ahead, not believed", "device", name, "pkh", m.PKH.String(),
		"kind", ownmarks.KindName(m), "level", m.Level)
	s.RaiseOtherChain("device "+name, m.PKH, fmt.Sprintf(
		"device %s: its own %s mark of %s is at level %d, %s: used on another chain? Its marks are not taken, and "+
			"the device is not used for this key",
		name, ownmarks.KindName(m), m.PKH, m.Level, limit.Distance(m.Level)), s.hintStrange(name))
}

// RaiseOtherChain raises the alarm that nothing on our chain explains a witness's marks of a key. A standing alarm
// stays as it is: the distance in its text changes with each level.
func (s *Signer) RaiseOtherChain(witness string, pkh tezos.PublicKeyHash, text, hint string) {
	if !s.alarms.Stands(AlarmOtherChain, witness, pkh.String()) {
		s.RaiseAlarm(AlarmOtherChain, witness, pkh.String(), text, hint)
	}
}

// isStrange tells whether a device must not be used for a key: its mark was not believed, and no operator has raised
// ours to the device's since.
func (s *Signer) isStrange(d Device, pkh tezos.PublicKeyHash) bool {
	if !s.strange.Any() {
		return false
	}
	m, ok := s.strange.Find(d.Name(), pkh)
	if !ok {
		return false
	}
	ahead, err := s.passed(m)
	return err != nil || len(ahead) > 0
}

// markStrange shows why a device's keys are not used.
func (s *Signer) markStrange(d Device, keys []device.Key) []device.Key {
	if !s.strange.Any() {
		return keys
	}
	keys = slices.Clone(keys)
	for i := range keys {
		if keys[i].Usable == "" && s.isStrange(d, keys[i].PublicKey.Hash()) {
			keys[i].Usable = unusableStrange
		}
	}
	return keys
}
