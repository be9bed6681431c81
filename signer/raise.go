package signer

import (
	"context"
	"sync"
	"time"

	"highwater/internal/device"
)

// raiseTimeout bounds the time for a device. A gadget that derives keys answers nothing for so long.
const raiseTimeout = 20 * time.Second

// DeviceMarks compares a device's own marks with ours, after the device was raised as far as possible unattended.
type DeviceMarks struct {
	Device string            `json:"device"`
	Keys   []device.Standing `json:"keys"`
	// Problem is why nothing was compared, with Advice beside. The next connection of the device compares the marks
	// in any case.
	Problem string `json:"problem,omitempty"`
	Advice  string `json:"advice,omitempty"`
}

// RaiseDevices compares every device's own marks with ours, and raises the device's where possible unattended: never
// so far that a request within the rule would be lost. A device's marks are the second line: signing neither waits
// for them nor depends on them.
func (s *Signer) RaiseDevices(ctx context.Context) []DeviceMarks {
	out := make([]DeviceMarks, len(s.devices))
	var all sync.WaitGroup
	for i, d := range s.devices {
		all.Go(func() { out[i] = s.raiseDevice(ctx, d) })
	}
	all.Wait()
	return out
}

func (s *Signer) raiseDevice(ctx context.Context, d Device) DeviceMarks {
	out := DeviceMarks{Device: d.Name(), Keys: []device.Standing{}}
	r, ok := d.(device.Raiser)
	st := d.Status()
	switch {
	case !ok:
		out.Problem = "the device's marks cannot be compared"
		return out
	case st.Health != device.Ready:
		out.Problem, out.Advice = "the device is "+string(st.Health), st.Advice
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, raiseTimeout)
	defer cancel()
	keys, err := r.RaiseMarks(ctx)
	if err != nil {
		out.Problem = err.Error()
		s.log.Warn("device marks not compared", "device", d.Name(), "error", err)
		return out
	}
	out.Keys = append(out.Keys, keys...)
	return out
}
