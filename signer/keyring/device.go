package keyring

import (
	"context"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// Device is a connected, or absent, device. Its driver runs elsewhere.
type Device interface {
	Name() string
	Status() device.Status
	// Changed is closed at the next change of Status or Keys. Take the channel before reading the two.
	Changed() <-chan struct{}
	// Keys are the keys that the device held when it was last ready. The slice may be shared: do not change it.
	Keys() []device.Key
	// Turn waits until the device is connected and free. When ctx ends first the error is a *device.Error.
	Turn(ctx context.Context) (device.Turn, error)
}

// Store keeps the keys that devices offered once, over the end of the process.
type Store interface {
	KnownKeys() map[tezos.PublicKeyHash]hwm.KnownKey
	KnownKey(pkh tezos.PublicKeyHash) (hwm.KnownKey, bool)
	// RememberKey adds a key, durably.
	RememberKey(k hwm.KnownKey) error
}
