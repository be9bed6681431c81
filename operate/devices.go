package operate

import (
	"context"
	"encoding/json"

	"highwater/signer"
)

// DeviceCall asks the driver of a device for an act of its kind of device: show a prompt, unlock a key. Command and
// driver agree on the verbs, their arguments and their results.
type DeviceCall struct {
	Device string          `json:"device"`
	Verb   string          `json:"verb"`
	Args   json.RawMessage `json:"args"`
}

// DeviceFunc does a device call. The function reports the text of a screen, or progress, through show.
type DeviceFunc func(ctx context.Context, c DeviceCall, show func(string)) (json.RawMessage, error)

// DeviceCall does a device call in this process.
func (l *Local) DeviceCall(ctx context.Context, c DeviceCall, show func(string)) (json.RawMessage, error) {
	if l.Devices == nil {
		return nil, &Refusal{Reason: NoDevices, Text: "the devices are not open here"}
	}
	return l.Devices(ctx, c, show)
}

// RaiseDevices compares the devices' own marks with the host's in this process.
func (l *Local) RaiseDevices(ctx context.Context) ([]signer.DeviceMarks, error) {
	return l.Signer.RaiseDevices(ctx), nil
}
