package keyring

import (
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Found gives the candidates of the last search, as long as no device has changed since: changed is the broadcast's
// channel. Among dozens of devices a search takes as long as a hash.
func (k *Key) Found(devices []Device, changed <-chan struct{}) []Device {
	if last := k.last.Load(); last != nil && last.until == changed {
		return last.found
	}
	found := k.Candidates(devices)
	k.last.Store(&search{found, changed})
	return found
}

// search is the result of a search, good until the channel is closed.
type search struct {
	found []Device
	until <-chan struct{}
}

// Candidates are the devices that may hold the key: the devices of its policy, or all, in order.
func (k *Key) Candidates(devices []Device) []Device {
	var out []Device
	if len(k.Policy.Devices) == 0 {
		for _, d := range devices {
			if Holds(d, k.PKH) || d.Status().Health != device.Ready {
				out = append(out, d)
			}
		}
		return out
	}
	for _, name := range k.Policy.Devices {
		for _, d := range devices {
			if d.Name() == name {
				out = append(out, d)
			}
		}
	}
	return out
}

// Holds tells whether a device holds a key, by its last words.
func Holds(d Device, pkh tezos.PublicKeyHash) bool {
	_, ok := On(d, pkh)
	return ok
}

// On gives a key as its device describes the key.
func On(d Device, pkh tezos.PublicKeyHash) (device.Key, bool) {
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
