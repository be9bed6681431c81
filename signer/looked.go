package signer

import (
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// lookedAt is a device at a moment, its keys by address: for questions about many keys at once.
type lookedAt struct {
	Device
	status device.Status
	byHash map[tezos.PublicKeyHash]device.Key
	idle   bool // holds no key that may be asked for
}

// Status is the device's state at the moment of the look.
func (d *lookedAt) Status() device.Status { return d.status }

// lookAtDevices takes in the last words of all devices. No device is asked.
func (s *Signer) lookAtDevices() []Device {
	out := make([]Device, 0, len(s.devices))
	for _, d := range s.devices {
		keys := d.Keys()
		at := &lookedAt{Device: d, status: d.Status(), byHash: make(map[tezos.PublicKeyHash]device.Key, len(keys)), idle: true}
		for _, k := range keys {
			pkh := k.PublicKey.Hash()
			at.byHash[pkh] = k
			if _, serves := s.ring.lookup(pkh); serves {
				at.idle = false
			}
		}
		out = append(out, at)
	}
	return out
}
