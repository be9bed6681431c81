//go:build cgo

package usb

import (
	"fmt"

	"github.com/google/gousb"
)

// generation is a libusb context with the devices connected when the context was made. libusb learns of later devices
// from udevd only, which a container or a small system lacks. A new context is needed for a device that the kernel
// shows and libusb does not, and for a device at another device's old address. The old context ends with its last
// user.
type generation struct {
	ctx   *gousb.Context
	known map[[2]int]ID // by bus and address
	users int           // open devices, and attempts to open a device; guarded by the bus's lock
	stale bool          // a newer generation exists, or the bus was closed; as above
}

// newContext starts libusb; gousb panics where libusb cannot start.
func newContext() (ctx *gousb.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			ctx, err = nil, fmt.Errorf("libusb does not start: %v", r)
		}
	}()
	return gousb.NewContext(), nil
}

// fits is false when another device had the address when the generation was made: libusb may still believe in the old
// device.
func (g *generation) fits(i Info) bool {
	id, ok := g.known[[2]int{i.Bus, i.Address}]
	return !ok || id == i.ID
}

// open opens the device at an address. A device known to libusb that the kernel does not open has left: the kernel
// shows a departed device for a while.
func (g *generation) open(i Info) (*gousb.Device, error) {
	known := false
	all, err := g.ctx.OpenDevices(func(d *gousb.DeviceDesc) bool {
		fits := d.Bus == i.Bus && d.Address == i.Address && uint16(d.Vendor) == i.Vendor && uint16(d.Product) == i.Product
		known = known || fits
		return fits
	})
	switch {
	case len(all) > 0:
		return all[0], nil // any error here is about another device, with unreadable descriptors
	case !known:
		return nil, errUnknown
	case err == nil:
		err = ErrGone
	}
	return nil, err
}

// enter makes the caller a user of the current generation, which may be nil.
func (b *Bus) enter() (*generation, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	if b.current != nil {
		b.current.users++
	}
	return b.current, nil
}

// leave ends a use.
func (b *Bus) leave(g *generation) {
	b.mu.Lock()
	g.users--
	end := b.endIfUnused(g)
	b.mu.Unlock()
	end()
}

// retire is for a generation that gets no new users. The caller holds the lock, and calls end without the lock.
func (b *Bus) retire(g *generation) (end func()) {
	if g == nil {
		return func() {}
	}
	g.stale = true
	return b.endIfUnused(g)
}

// endIfUnused is called with the lock held; the caller calls end without the lock. libusb takes up to a tenth of a
// second to end, and no caller waits for the end before Close.
func (b *Bus) endIfUnused(g *generation) (end func()) {
	if !g.stale || g.users > 0 {
		return func() {}
	}
	closeContext := func() {
		if err := g.ctx.Close(); err != nil {
			b.log.Debug("usb context close", "error", err)
		}
	}
	if b.closed {
		return closeContext
	}
	b.ending.Go(closeContext)
	return func() {}
}

// renew makes a new generation. The caller holds renewing.
func (b *Bus) renew() error {
	known, err := b.scan.connected()
	if err != nil {
		return err
	}
	ctx, err := newContext()
	if err != nil {
		return err
	}
	b.mu.Lock()
	end := b.retire(b.current)
	b.current = &generation{ctx: ctx, known: known}
	if b.closed {
		last := b.retire(b.current)
		defer last()
	}
	b.mu.Unlock()
	end()
	return nil
}
