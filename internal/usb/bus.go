//go:build cgo

package usb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/google/gousb"
)

// Available tells whether this build can open devices (it needs cgo).
const Available = true

// Bus finds and opens devices; a process has one. All methods can be called from anywhere. libusb is not started before the first
// Open.
type Bus struct {
	log  *slog.Logger
	scan *scanner

	mu      sync.Mutex
	current *generation // nil: none yet
	claimed map[claim]bool
	closed  bool
}

// claim is an interface that this process has.
type claim struct {
	id     ID
	number int
}

// generation is a libusb context with what was connected when it was made. libusb learns of later devices from udevd only, which a
// container, or a small system, has not: a device that the kernel shows and libusb does not (or whose address another device had)
// needs a new context. The old one ends with its last device.
type generation struct {
	ctx     *gousb.Context
	known   map[[2]int]ID // by bus and address
	devices int
	stale   bool
}

// NewBus makes a bus.
func NewBus(log *slog.Logger) *Bus {
	return &Bus{log: log, scan: newScanner(sysfsRoot), claimed: map[claim]bool{}}
}

// Find gives the connected devices of interest, ordered by port. It is cheap while nothing changes.
func (b *Bus) Find(match Match) ([]Info, error) { return b.scan.find(match) }

// Claimed tells whether this process has claimed an interface of a device.
func (b *Bus) Claimed(i Info, number int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.claimed[claim{i.ID, number}]
}

func (b *Bus) setClaimed(c claim, on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if on {
		b.claimed[c] = true
	} else {
		delete(b.claimed, c)
	}
}

// errClosed is for what comes after Close.
var errClosed = errors.New("the USB bus is closed")

// Open opens a device. The error wraps ErrGone, or is an *AccessError, or of libusb.
func (b *Bus) Open(_ context.Context, i Info) (*Device, error) {
	if err := Access(i); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil, errClosed
	}
	handle, err := b.handle(i)
	if err != nil {
		return nil, explain(err, i)
	}
	d := &Device{bus: b, gen: b.current, info: i, handle: handle}
	b.current.devices++
	if err := d.configure(); err != nil {
		return nil, errors.Join(explain(err, i), d.shut())
	}
	return d, nil
}

// handle opens a device in the current generation, or in a new one. The caller holds the lock.
func (b *Bus) handle(i Info) (*gousb.Device, error) {
	if b.current != nil && b.current.fits(i) {
		if handle, err := b.current.open(i); handle != nil || err != nil {
			return handle, err
		}
	}
	if err := b.renew(); err != nil {
		return nil, err
	}
	handle, err := b.current.open(i)
	if handle == nil && err == nil {
		err = ErrGone
	}
	return handle, err
}

// renew makes a new generation. The caller holds the lock.
func (b *Bus) renew() error {
	known := map[[2]int]ID{}
	all, err := b.scan.find(func(uint16, uint16) bool { return true })
	if err != nil {
		return err
	}
	for _, i := range all {
		known[[2]int{i.Bus, i.Address}] = i.ID
	}
	ctx, err := newContext()
	if err != nil {
		return err
	}
	if b.current != nil {
		b.current.stale = true
		if err := b.current.endIfUnused(); err != nil {
			b.log.Debug("usb context close", "error", err)
		}
	}
	b.current = &generation{ctx: ctx, known: known}
	return nil
}

// newContext starts libusb; gousb panics where libusb cannot.
func newContext() (ctx *gousb.Context, err error) {
	defer func() {
		if r := recover(); r != nil {
			ctx, err = nil, fmt.Errorf("libusb does not start: %v", r)
		}
	}()
	return gousb.NewContext(), nil
}

// fits is false when another device had this address when the generation was made: libusb may still believe in that one.
func (g *generation) fits(i Info) bool {
	id, ok := g.known[[2]int{i.Bus, i.Address}]
	return !ok || id == i.ID
}

// open opens the device at an address, or gives nil when libusb does not know it.
func (g *generation) open(i Info) (*gousb.Device, error) {
	all, err := g.ctx.OpenDevices(func(d *gousb.DeviceDesc) bool {
		return d.Bus == i.Bus && d.Address == i.Address && uint16(d.Vendor) == i.Vendor && uint16(d.Product) == i.Product
	})
	if len(all) > 0 {
		return all[0], nil // an error is of another device then, whose descriptors cannot be read
	}
	var code gousb.Error
	if errors.As(err, &code) && code == gousb.ErrorNoDevice {
		return nil, nil // it left, or libusb is behind
	}
	return nil, err
}

// leave is a device that was closed. The caller holds the bus's lock.
func (g *generation) leave() error {
	g.devices--
	return g.endIfUnused()
}

func (g *generation) endIfUnused() error {
	if !g.stale || g.devices > 0 {
		return nil
	}
	return g.ctx.Close()
}

// Close ends libusb when the last device is closed; nothing can be opened any more.
func (b *Bus) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.current == nil {
		b.closed = true
		return nil
	}
	b.closed = true
	b.current.stale = true
	return b.current.endIfUnused()
}

// explain makes an error of this package of one of libusb's.
func explain(err error, i Info) error {
	switch code(err) {
	case gousb.ErrorNoDevice:
		return fmt.Errorf("%w: %w", ErrGone, err)
	case gousb.ErrorBusy:
		return fmt.Errorf("%w: %w", ErrInUse, err)
	case gousb.ErrorAccess:
		return errors.Join(&AccessError{Info: i, Hint: accessHint(i.Vendor, i.Node())}, err)
	default:
		return err
	}
}
