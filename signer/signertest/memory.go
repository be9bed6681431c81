package signertest

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// memory is the part of a Store that is signer.Memory.
type memory struct {
	lock   *sync.Mutex
	keys   map[tezos.PublicKeyHash]hwm.KnownKey
	seen   map[hwm.SignedBy]hwm.Position
	with   map[hwm.SignedBy]hwm.SignedUpTo
	alarms []hwm.Alarm
}

func newMemory() memory {
	return memory{
		lock: new(sync.Mutex), keys: map[tezos.PublicKeyHash]hwm.KnownKey{}, seen: map[hwm.SignedBy]hwm.Position{},
		with: map[hwm.SignedBy]hwm.SignedUpTo{},
	}
}

func (m memory) clone() memory {
	m.lock.Lock()
	defer m.lock.Unlock()
	return memory{new(sync.Mutex), maps.Clone(m.keys), maps.Clone(m.seen), maps.Clone(m.with), slices.Clone(m.alarms)}
}

// KnownKeys is part of signer.KnownKeys.
func (m *memory) KnownKeys() map[tezos.PublicKeyHash]hwm.KnownKey {
	m.lock.Lock()
	defer m.lock.Unlock()
	return maps.Clone(m.keys)
}

// KnownKey is part of signer.KnownKeys.
func (m *memory) KnownKey(pkh tezos.PublicKeyHash) (hwm.KnownKey, bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	k, ok := m.keys[pkh]
	return k, ok
}

// RememberKey is part of signer.KnownKeys.
func (m *memory) RememberKey(k hwm.KnownKey) error {
	public, err := tezos.ParsePublicKey(k.PublicKey)
	if err != nil {
		return err
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	m.keys[public.Hash()] = k
	return nil
}

// Seen is part of signer.Memory.
func (m *memory) Seen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind) (hwm.Position, bool) {
	m.lock.Lock()
	defer m.lock.Unlock()
	p, ok := m.seen[hwm.SignedBy{Device: device, PKH: pkh, Kind: kind}]
	return p, ok
}

// EachSeen is part of signer.Memory.
func (m *memory) EachSeen(each func(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position)) {
	m.lock.Lock()
	defer m.lock.Unlock()
	for k, p := range m.seen {
		each(k.Device, k.PKH, k.Kind, p)
	}
}

// SetSeen is part of signer.Memory.
func (m *memory) SetSeen(device string, pkh tezos.PublicKeyHash, kind tezos.Kind, p hwm.Position) error {
	if _, err := json.Marshal(pkh); err != nil {
		return err
	}
	m.lock.Lock()
	defer m.lock.Unlock()
	m.seen[hwm.SignedBy{Device: device, PKH: pkh, Kind: kind}] = p
	return nil
}

// SignedWith is part of signer.Memory.
func (m *memory) SignedWith() map[hwm.SignedBy]hwm.SignedUpTo {
	m.lock.Lock()
	defer m.lock.Unlock()
	return maps.Clone(m.with)
}

// NoteSigned is part of signer.Memory.
func (m *memory) NoteSigned(rows map[hwm.SignedBy]hwm.SignedUpTo) {
	m.lock.Lock()
	defer m.lock.Unlock()
	maps.Copy(m.with, rows)
}

// Alarms is part of signer.Memory.
func (m *memory) Alarms() []hwm.Alarm {
	m.lock.Lock()
	defer m.lock.Unlock()
	return slices.Clone(m.alarms)
}

// SetAlarms is part of signer.Memory.
func (m *memory) SetAlarms(alarms []hwm.Alarm) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.alarms = slices.Clone(alarms[max(0, len(alarms)-hwm.MaxAlarms):])
	return nil
}
