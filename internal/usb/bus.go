//go:build cgo

package usb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/gousb"
)

// Available tells whether the build can open devices, for which cgo is needed.
const Available = true

// Bus finds and opens devices; a process has one Bus. All methods are safe for concurrent use. libusb is not started
// before the first Open.
type Bus struct {
	log  *slog.Logger
	scan *scanner

	// renewing is held while a new generation is made. libusb looks at every device of the system for a new
	// generation, and the kernel makes libusb wait while a hub deals with a port.
	renewing sync.Mutex

	// mu is not held during any call of libusb: a device that comes, or hangs, holds up no other device.
	mu      sync.Mutex
	current *generation // nil: none yet
	claimed map[claim]bool
	closed  bool

	ending sync.WaitGroup // generations in the course of being closed; none is added once closed is true
}

// claim is an interface claimed by the process.
type claim struct {
	id     ID
	number int
}

// NewBus makes a bus.
func NewBus(log *slog.Logger) *Bus {
	return &Bus{log: log, scan: newScanner(sysfsRoot), claimed: map[claim]bool{}}
}

// Find returns the connected devices of interest, ordered by port. Find is cheap while nothing changes.
func (b *Bus) Find(match Match) ([]Info, error) { return b.scan.find(match) }

// Claimed tells whether the process has claimed an interface of a device.
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

// errClosed is the error of every call after Close.
var errClosed = errors.New("the USB bus is closed")

// errUnknown: libusb does not know the device, or may mistake another device for the wanted device.
var errUnknown = errors.New("libusb does not know the device")

// Open opens a device. The error wraps ErrGone, or is an *AccessError, or an error of libusb.
func (b *Bus) Open(ctx context.Context, i Info) (*Device, error) {
	if err := Access(i); err != nil {
		return nil, err
	}
	start := time.Now()
	d, err := b.open(ctx, i)
	b.log.Debug("usb open", "where", i.Where(), "address", i.Address,
		"duration_ms", time.Since(start).Milliseconds(), "error", err)
	return d, err
}

func (b *Bus) open(ctx context.Context, i Info) (*Device, error) {
	g, handle, err := b.handle(ctx, i)
	if err != nil {
		return nil, explain(err, i)
	}
	d := &Device{bus: b, gen: g, info: i, handle: handle}
	if err := d.configure(); err != nil {
		return nil, errors.Join(explain(err, i), d.shut())
	}
	return d, nil
}

// handle opens a device in the current generation, or in a new generation when the current does not know the device.
// On success the caller is a user of the generation.
func (b *Bus) handle(ctx context.Context, i Info) (*generation, *gousb.Device, error) {
	tried, handle, err := b.announced(ctx, i)
	if !errors.Is(err, errUnknown) {
		return tried, handle, err
	}
	b.renewing.Lock()
	defer b.renewing.Unlock()
	g, handle, err := b.try(i, tried) // another caller may have made a new generation meanwhile
	if !errors.Is(err, errUnknown) {
		return g, handle, err
	}
	if !b.scan.present(i) {
		return nil, nil, ErrGone
	}
	if err = b.renew(); err != nil {
		return nil, nil, err
	}
	g, handle, err = b.try(i, nil)
	if errors.Is(err, errUnknown) {
		err = ErrGone
	}
	return g, handle, err
}

// udevControl exists while udevd runs.
const udevControl = "/run/udev/control"

// libusb learns of a device from udevd some milliseconds after the device has appeared. In a container udevd may run
// out of libusb's hearing.
const (
	announceWait = 500 * time.Millisecond
	announceTick = 10 * time.Millisecond
)

// announced opens a device in the current generation. On a system with udevd, announced waits a little until libusb
// has heard of the device: a new generation takes longer, and would only learn what the current generation is about
// to learn.
func (b *Bus) announced(ctx context.Context, i Info) (*generation, *gousb.Device, error) {
	g, handle, err := b.try(i, nil)
	if !errors.Is(err, errUnknown) || g == nil || !g.fits(i) || missing(udevControl) {
		return g, handle, err
	}
	ctx, cancel := context.WithTimeout(ctx, announceWait)
	defer cancel()
	tick := time.NewTicker(announceTick)
	defer tick.Stop()
	for errors.Is(err, errUnknown) && b.scan.present(i) {
		select {
		case <-tick.C:
			g, handle, err = b.try(i, nil)
		case <-ctx.Done():
			return g, nil, err
		}
	}
	return g, handle, err
}

// try opens a device in the current generation, unless the current generation was tried already.
func (b *Bus) try(i Info, tried *generation) (*generation, *gousb.Device, error) {
	g, err := b.enter()
	if err != nil {
		return nil, nil, err
	}
	if g == nil {
		return nil, nil, errUnknown
	}
	err = errUnknown
	var handle *gousb.Device
	if g != tried && g.fits(i) {
		handle, err = g.open(i)
	}
	if err != nil {
		b.leave(g)
	}
	return g, handle, err
}

// Close ends libusb when the last device is closed. After Close no device can be opened.
func (b *Bus) Close() error {
	b.mu.Lock()
	end := func() {}
	if !b.closed {
		b.closed = true
		end = b.retire(b.current)
	}
	b.mu.Unlock()
	end()
	b.ending.Wait()
	return nil
}

// explain turns an error of libusb into an error of this package.
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
