package signer

import "highwater/internal/device"

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
