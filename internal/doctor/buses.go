package doctor

import (
	"slices"

	"highwater/internal/checklist"
	"highwater/internal/config"
	"highwater/internal/daemon"
)

// Buses is a line for each connected device, with the result of opening the device. A configuration without USB devices
// needs no bus.
func Buses(cfg *config.Config) []checklist.Line {
	found, err := daemon.LookAtBuses()
	wanted := slices.ContainsFunc(cfg.Devices, func(d config.Device) bool { return d.Transport == config.TransportUSB })
	switch {
	case err != nil && wanted:
		return []checklist.Line{checklist.Failed(checklist.USB, err)}
	case err != nil:
		return []checklist.Line{checklist.Good(checklist.USB, "no USB bus here, and none is configured")}
	}
	if len(found) == 0 {
		return []checklist.Line{checklist.Good(checklist.USB, "no Ledger and no TezSign is connected")}
	}
	out := make([]checklist.Line, 0, len(found))
	for _, c := range found {
		f := checklist.Good(checklist.USB, "%s", c)
		if c.Finding.Err != nil {
			f.Result, f.Detail, f.Hint = checklist.Bad, c.Finding.Err.Error(), c.Finding.Hint
		}
		out = append(out, f)
	}
	return out
}
