package signer

import (
	"fmt"
	"slices"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// KeyInfo is a key, as shown to people.
type KeyInfo struct {
	PKH       tezos.PublicKeyHash
	PublicKey *tezos.PublicKey // nil: no device offered the key yet
	Alias     string
	Allow     []tezos.Kind
}

// Keys lists the keys that may be asked for.
func (s *Signer) Keys() []KeyInfo {
	var out []KeyInfo
	for _, k := range s.ring.All() {
		out = append(out, KeyInfo{PKH: k.PKH, PublicKey: k.Public(), Alias: k.Name(), Allow: k.Kinds()})
	}
	return out
}

// PublicKey gives a key that may be asked for. The error is a *Denial, or a *device.Error when no device offered the
// key yet.
func (s *Signer) PublicKey(pkh tezos.PublicKeyHash) (*tezos.PublicKey, error) {
	k, err := s.ring.Find(pkh)
	if err != nil {
		return nil, err
	}
	return k.Public(), nil
}

// Targets expands a choice of keys to marks on our chain: all known keys when pkhs is empty, all kinds that a key may
// sign when kinds is.
func (s *Signer) Targets(pkhs []tezos.PublicKeyHash, kinds []tezos.Kind) ([]hwm.Key, error) {
	var out []hwm.Key
	for _, k := range s.ring.All() {
		if len(pkhs) > 0 && !slices.Contains(pkhs, k.PKH) {
			continue
		}
		for _, kind := range tezos.Kinds {
			if len(kinds) > 0 && slices.Contains(kinds, kind) || len(kinds) == 0 && k.Allows(kind) {
				out = append(out, k.Mark(s.chain, kind))
			}
		}
	}
	for _, pkh := range pkhs {
		if _, ok := s.ring.Lookup(pkh); !ok {
			return nil, &Denial{Reason: UnknownKey, Text: fmt.Sprintf("key %s is not "+
				"known here", pkh), Hint: "see: highwater keys list"}
		}
	}
	return out, nil
}

// DeviceInfo is a device, as shown to people.
type DeviceInfo struct {
	Name   string
	Status device.Status
	Keys   []device.Key
}

// Devices lists the devices.
func (s *Signer) Devices() []DeviceInfo {
	out := make([]DeviceInfo, 0, len(s.devices))
	for _, d := range s.devices {
		out = append(out, s.describe(d))
	}
	return out
}

func (s *Signer) describe(d Device) DeviceInfo {
	return DeviceInfo{d.Name(), d.Status(), s.markStrange(d, d.Keys())}
}
