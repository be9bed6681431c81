//go:build cgo

package usb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/gousb"
)

// Time limits of operations without a deadline of their own.
const (
	// ControlTimeout bounds a control transfer: a stopped device never answers.
	ControlTimeout = time.Second
	// closeTimeout bounds the wait for cancelled transfers at closing.
	closeTimeout = 2 * time.Second
)

// Device is an open device. The methods are safe for concurrent use.
type Device struct {
	bus    *Bus
	gen    *generation
	info   Info
	handle *gousb.Device
	config *gousb.Config

	control sync.Mutex // one control transfer at a time

	mu       sync.Mutex
	channels []*Channel
	closed   bool
}

// Info is the system's knowledge of the device at opening.
func (d *Device) Info() Info { return d.info }

// configure takes the device's configuration unchanged. With automatic detaching already on, gousb would detach the
// kernel drivers of all interfaces here, and would give back only those of interfaces claimed later: automatic
// detaching is turned on afterwards.
func (d *Device) configure() error {
	d.handle.ControlTimeout = ControlTimeout
	n, err := d.handle.ActiveConfigNum()
	if err != nil {
		return err
	}
	if d.config, err = d.handle.Config(n); err != nil {
		return err
	}
	return d.handle.SetAutoDetach(true)
}

// Claim claims an interface. A kernel driver bound to the interface is detached, and attached again by the channel's
// Close. The error wraps ErrInUse when another program, or another part of this process, has the interface, and
// ErrGone when the device left.
func (d *Device) Claim(_ context.Context, number int) (*Channel, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errClosed
	}
	iface, err := d.config.Interface(number, 0)
	if err != nil {
		return nil, explain(fmt.Errorf("claim interface %d: %w", number, err), d.info)
	}
	c, err := newChannel(d, iface)
	if err != nil {
		iface.Close()
		return nil, explain(err, d.info)
	}
	d.bus.setClaimed(claim{d.info.ID, number}, true)
	d.channels = append(d.channels, c)
	return c, nil
}

// Control does a control transfer on endpoint 0, and ends within ControlTimeout, or at ctx's earlier deadline.
func (d *Device) Control(
	ctx context.Context, requestType, request uint8, value, index uint16, data []byte,
) (int, error) {
	d.control.Lock()
	defer d.control.Unlock()
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	limit := ControlTimeout
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, max(time.Until(deadline), time.Millisecond)) // 0 would be for ever
	}
	d.mu.Lock()
	closed := d.closed
	d.mu.Unlock()
	if closed {
		return 0, errClosed
	}
	d.handle.ControlTimeout = limit
	n, err := d.handle.Control(requestType, request, value, index, data)
	if err != nil {
		return max(n, 0), explain(fmt.Errorf("control request %02x/%02x: %w", requestType, request, err), d.info)
	}
	return n, nil
}

// The request for a HID report descriptor, the first question of usbhid.
const (
	getInterfaceDescriptor = 0x81
	getDescriptor          = 0x06
	reportDescriptor       = 0x2200
)

// release gives an interface back, to its kernel driver as well. usbhid asks a silent device for half a minute, and
// neither the program nor the device could be closed meanwhile: the interface of a silent device is not given back to
// the driver.
func (d *Device) release(iface *gousb.Interface) {
	silent := false
	if uint8(iface.Setting.Class) == ClassHID {
		d.control.Lock()
		d.handle.ControlTimeout = ControlTimeout
		index := uint16(iface.Setting.Number) //nolint:gosec // a byte
		_, err := d.handle.Control(getInterfaceDescriptor, getDescriptor, reportDescriptor, index, make([]byte, 1))
		d.control.Unlock()
		silent = err != nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if silent {
		d.detach(false)
		defer d.detach(true)
	}
	iface.Close()
}

// detach says whether kernel drivers make room for a claim and come back after the claim.
func (d *Device) detach(on bool) {
	if err := d.handle.SetAutoDetach(on); err != nil {
		d.bus.log.Debug("usb auto detach", "error", err)
	}
}

// Close gives up transfers under way and closes the device. When closing does not end in time the error wraps
// ErrHung, and closing goes on in the background.
func (d *Device) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	channels := slices.Clone(d.channels)
	d.mu.Unlock()
	return within(closeTimeout, func() error {
		for _, c := range channels {
			c.end()
		}
		d.control.Lock()
		defer d.control.Unlock()
		return d.shut()
	})
}

// shut closes the handle.
func (d *Device) shut() error {
	var err error
	if d.config != nil {
		err = d.config.Close()
	}
	err = errors.Join(err, d.handle.Close())
	d.bus.leave(d.gen)
	return err
}

// within runs f, and waits no longer than limit for the end of f.
func within(limit time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return fmt.Errorf("%w: not within %s", ErrHung, limit)
	}
}

// code finds libusb's code in an error. gousb puts some codes only into its texts.
func code(err error) gousb.Error {
	var c gousb.Error
	if errors.As(err, &c) {
		return c
	}
	var status gousb.TransferStatus
	if errors.As(err, &status) && status == gousb.TransferNoDevice {
		return gousb.ErrorNoDevice
	}
	if err != nil {
		for _, c := range []gousb.Error{gousb.ErrorNoDevice, gousb.ErrorBusy, gousb.ErrorAccess} {
			if strings.HasSuffix(err.Error(), c.Error()) {
				return c
			}
		}
		if strings.HasSuffix(err.Error(), gousb.ErrorNotFound.Error()) {
			return gousb.ErrorNoDevice // the interface is not present any more
		}
	}
	return gousb.Success
}
