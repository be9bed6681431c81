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

// Available tells whether this build can open devices (it needs cgo).
const Available = true

// Bus finds and opens devices; a process has one. All methods can be called from anywhere. libusb is not started before the first
// Open.
type Bus struct {
	log  *slog.Logger
	scan *scanner

	// renewing is held by whoever makes a new generation: libusb looks at every device of the system then, and the kernel makes it wait
	// while a hub deals with one of its ports.
	renewing sync.Mutex

	// mu is not held during any call of libusb: a device that comes, or hangs, does not hold another one up.
	mu      sync.Mutex
	current *generation // nil: none yet
	claimed map[claim]bool
	closed  bool

	ending sync.WaitGroup // generations that are being closed; none is added once closed is true
}

// claim is an interface that this process has.
type claim struct {
	id     ID
	number int
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

// errUnknown: libusb does not know the device, or may take it for another one.
var errUnknown = errors.New("libusb does not know the device")

// Open opens a device. The error wraps ErrGone, or is an *AccessError, or of libusb.
func (b *Bus) Open(ctx context.Context, i Info) (*Device, error) {
	if err := Access(i); err != nil {
		return nil, err
	}
	start := time.Now()
	d, err := b.open(ctx, i)
	b.log.Debug("usb open", "where", i.Where(), "address", i.Address, "duration_ms", time.Since(start).Milliseconds(), "error", err)
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

// handle opens a device in the current generation, or in a new one when that does not know it. The generation has a user then.
func (b *Bus) handle(ctx context.Context, i Info) (*generation, *gousb.Device, error) {
	tried, handle, err := b.announced(ctx, i)
	if !errors.Is(err, errUnknown) {
		return tried, handle, err
	}
	b.renewing.Lock()
	defer b.renewing.Unlock()
	g, handle, err := b.try(i, tried) // another one may have been made meanwhile
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

// udevControl is there while udevd runs.
const udevControl = "/run/udev/control"

// libusb learns of a device from udevd some milliseconds after it has appeared. In a container udevd may run and not be heard.
const (
	announceWait = 500 * time.Millisecond
	announceTick = 10 * time.Millisecond
)

// announced opens a device in the current generation. Where udevd runs it waits a little until libusb has heard of it: a new generation
// takes longer, and would only be told of what the old one is about to be.
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

// try opens a device in the current generation, unless that is the one that was tried already.
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

// Close ends libusb when the last device is closed; nothing can be opened any more.
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
