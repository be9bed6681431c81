package signer

import (
	"slices"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

// found gives the candidates of the last search, as long as no device has changed since: changed is the broadcast's channel. Among
// dozens of devices a search takes as long as a hash.
func (s *Signer) found(key *ringKey, changed <-chan struct{}) []Device {
	if last := key.last.Load(); last != nil && last.until == changed {
		return last.found
	}
	found := s.candidates(key)
	key.last.Store(&search{found, changed})
	return found
}

// search is the result of a search, good until the channel is closed.
type search struct {
	found []Device
	until <-chan struct{}
}

// candidates are the devices that may hold the key: the devices of its policy, or all, in order.
func (s *Signer) candidates(key *ringKey) []Device {
	var out []Device
	if len(key.policy.Devices) == 0 {
		for _, d := range s.devices {
			if holds(d, key.pkh) || d.Status().Health != device.Ready {
				out = append(out, d)
			}
		}
		return out
	}
	for _, name := range key.policy.Devices {
		for _, d := range s.devices {
			if d.Name() == name {
				out = append(out, d)
			}
		}
	}
	return out
}

func holds(d Device, pkh tezos.PublicKeyHash) bool {
	_, ok := keyOn(d, pkh)
	return ok
}

func keyOn(d Device, pkh tezos.PublicKeyHash) (device.Key, bool) {
	if at, ok := d.(*lookedAt); ok {
		k, held := at.byHash[pkh]
		return k, held
	}
	for _, k := range d.Keys() {
		if k.PublicKey.Hash() == pkh {
			return k, true
		}
	}
	return device.Key{}, false
}

func (s *Signer) firstUsable(candidates []Device, pkh tezos.PublicKeyHash, kind tezos.Kind) Device {
	for _, d := range candidates {
		if d.Status().Health != device.Ready {
			continue
		}
		if k, ok := keyOn(d, pkh); ok && k.Usable == "" && slices.Contains(k.Kinds, kind) && !s.isStrange(d, pkh) {
			return d
		}
	}
	return nil
}
