package tezsign

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"highwater/internal/usb"
)

// IsUSB tells whether a USB device is a TezSign gadget.
func IsUSB(vendor, product uint16) bool { return vendor == VendorID && product == ProductID }

// OtherInterfacesError says that a connected gadget lacks an interface of TezSign.
type OtherInterfacesError struct{ Where string }

func (e *OtherInterfacesError) Error() string {
	return "the TezSign at " + e.Where + " lacks the interface for signatures, or the interface for keys"
}

// HintText is what to do.
func (e *OtherInterfacesError) HintText() string {
	return "unplug the gadget and plug the gadget in again; if the fault stays, highwater does not know this version of TezSign"
}

// Unusable says why a connected gadget cannot be used with any permission; nil: nothing is known against the gadget.
func Unusable(i usb.Info) error {
	for _, number := range []int{SignInterface, ManageInterface} {
		if !slices.ContainsFunc(i.Interfaces, func(f usb.Interface) bool {
			return f.Number == number && f.Class == usb.ClassVendor && f.Endpoints >= 2
		}) {
			return &OtherInterfacesError{i.Where()}
		}
	}
	return nil
}

// OpenUSB returns an OpenFunc for the gadgets on a bus.
func OpenUSB(bus *usb.Bus) OpenFunc {
	return func(ctx context.Context, serial string) (Gadget, error) { return openUSB(ctx, bus, serial) }
}

func openUSB(ctx context.Context, bus *usb.Bus, serial string) (Gadget, error) {
	found, err := bus.Find(IsUSB)
	if err != nil {
		return nil, err
	}
	connected := make([]Info, 0, len(found))
	for _, i := range found {
		connected = append(connected, usbInfo(i))
	}
	one, err := Pick(serial, connected)
	if err != nil {
		return nil, err
	}
	for i := range connected {
		if connected[i] == one {
			d, err := bus.Open(ctx, found[i])
			if err != nil {
				return nil, usbError(err)
			}
			return &usbGadget{d}, nil
		}
	}
	return nil, ErrGone
}

func usbInfo(i usb.Info) Info { return Info{Serial: i.SerialNum, Where: i.Where()} }

// usbError replaces the bus's errors with this package's.
func usbError(err error) error {
	switch {
	case errors.Is(err, usb.ErrGone):
		return fmt.Errorf("%w (%w)", ErrGone, err)
	case errors.Is(err, usb.ErrInUse):
		return fmt.Errorf("%w (%w)", ErrInUse, err)
	}
	return err
}

// usbGadget is an open USB device.
type usbGadget struct{ d *usb.Device }

func (g *usbGadget) Info() Info { return usbInfo(g.d.Info()) }

func (g *usbGadget) Claim(ctx context.Context, iface int) (Channel, error) {
	c, err := g.d.Claim(ctx, iface)
	if err != nil {
		return nil, usbError(err)
	}
	return usbChannel{c}, nil
}

func (g *usbGadget) Control(
	ctx context.Context, requestType, request uint8, value, index uint16, data []byte,
) (int, error) {
	n, err := g.d.Control(ctx, requestType, request, value, index, data)
	return n, usbError(err)
}

func (g *usbGadget) Close() error { return g.d.Close() }

// usbChannel is a claimed interface.
type usbChannel struct{ *usb.Channel }

func (c usbChannel) Write(ctx context.Context, p []byte) (int, error) {
	n, err := c.Channel.Write(ctx, p)
	return n, usbError(err)
}

func (c usbChannel) Read(ctx context.Context, buf []byte) (int, error) {
	n, err := c.Channel.Read(ctx, buf)
	return n, usbError(err)
}
