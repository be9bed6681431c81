//go:build !cgo

package usb

import (
	"context"
	"log/slog"
)

// Available tells whether the build can open devices, for which cgo is needed.
const Available = false

// Bus finds devices; a build without cgo cannot open devices.
type Bus struct{ scan *scanner }

// NewBus makes a bus.
func NewBus(*slog.Logger) *Bus { return &Bus{scan: newScanner(sysfsRoot)} }

// Find gives the connected devices of interest, ordered by port.
func (b *Bus) Find(match Match) ([]Info, error) { return b.scan.find(match) }

// Claimed is always false: nothing can be claimed.
func (*Bus) Claimed(Info, int) bool { return false }

// Open always fails with ErrNoUSB.
func (*Bus) Open(context.Context, Info) (*Device, error) { return nil, ErrNoUSB }

// Close has nothing to do.
func (*Bus) Close() error { return nil }

// Device is never made by a build without cgo.
type Device struct{}

// Info is empty.
func (*Device) Info() Info { return Info{} }

// Claim always fails with ErrNoUSB.
func (*Device) Claim(context.Context, int) (*Channel, error) { return nil, ErrNoUSB }

// Control always fails with ErrNoUSB.
func (*Device) Control(context.Context, uint8, uint8, uint16, uint16, []byte) (int, error) {
	return 0, ErrNoUSB
}

// Close has nothing to do.
func (*Device) Close() error { return nil }

// Channel is never made by a build without cgo.
type Channel struct{}

// MaxPacket is zero.
func (*Channel) MaxPacket() int { return 0 }

// Read always fails with ErrNoUSB.
func (*Channel) Read(context.Context, []byte) (int, error) { return 0, ErrNoUSB }

// Write always fails with ErrNoUSB.
func (*Channel) Write(context.Context, []byte) (int, error) { return 0, ErrNoUSB }

// Close has nothing to do.
func (*Channel) Close() error { return nil }
