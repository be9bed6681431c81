package signer

import (
	"context"
	"sync"
	"time"

	"highwater/internal/device"
)

// raiseTimeout bounds what one device takes. A gadget that derives keys lets nobody near it for that long.
const raiseTimeout = 20 * time.Second

// DeviceMarks is how a device's own marks stand to ours, after they were raised as far as it goes unattended.
type DeviceMarks struct {
	Device string            `json:"device"`
	Keys   []device.Standing `json:"keys"`
	// Problem is why nothing was compared; then Advice is what to do. They are compared at the device's next connection in any case.
	Problem string `json:"problem,omitempty"`
	Advice  string `json:"advice,omitempty"`
}

// RaiseDevices has every device's own marks compared with ours now, and raised where a device can do that unattended: never so far
// that a request which the rule lets through would be lost. They are the second line: signing does not wait for it, nor depend on it.
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
		out.Problem = "its marks cannot be compared"
		return out
	case st.Health != device.Ready:
		out.Problem, out.Advice = "it is "+string(st.Health), st.Advice
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
