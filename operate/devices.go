package operate

import (
	"context"
	"encoding/json"

	"highwater/signer"
)

// DeviceCall asks a device's driver for something that only its kind can do: show a prompt, unlock a key. What verbs there are,
// and what they take and give, is between the command and the driver.
type DeviceCall struct {
	Device string          `json:"device"`
	Verb   string          `json:"verb"`
	Args   json.RawMessage `json:"args"`
}

// DeviceFunc does a device call. It tells through show what is on a screen or under way.
type DeviceFunc func(ctx context.Context, c DeviceCall, show func(string)) (json.RawMessage, error)

// DeviceCall does a call in this process.
func (l *Local) DeviceCall(ctx context.Context, c DeviceCall, show func(string)) (json.RawMessage, error) {
	if l.Devices == nil {
		return nil, &Refusal{NoDevices, "the devices are not open here"}
	}
	return l.Devices(ctx, c, show)
}

// RaiseDevices compares in this process.
func (l *Local) RaiseDevices(ctx context.Context) ([]signer.DeviceMarks, error) {
	return l.Signer.RaiseDevices(ctx), nil
}
