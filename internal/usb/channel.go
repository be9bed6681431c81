//go:build cgo

package usb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/gousb"
)

// queued is the number of reads waiting at the host controller: the device always finds a read, however late the
// program comes back for more.
const queued = 4

// Channel is a claimed interface with one IN and one OUT endpoint. Reads are pending from the claim on. Read and
// Write may run at the same time, each in one goroutine; Close ends both.
type Channel struct {
	d      *Device
	iface  *gousb.Interface
	number int
	in     *gousb.ReadStream
	out    *gousb.OutEndpoint
	max    int

	life   context.Context //nolint:containedctx // ends with Close, which must end reads and writes
	cancel context.CancelFunc

	mu     sync.Mutex
	closed bool
	users  sync.WaitGroup
	end    func() // cancels transfers under way, waits for their end and releases the interface, once
}

// newChannel takes over a claimed interface. The numbers and sizes of the endpoints come from the descriptors.
func newChannel(d *Device, iface *gousb.Interface) (*Channel, error) {
	in, out, err := endpoints(iface.Setting)
	if err != nil {
		return nil, err
	}
	c := &Channel{d: d, iface: iface, number: iface.Setting.Number, max: in.MaxPacketSize}
	reader, err := iface.InEndpoint(in.Number)
	if err != nil {
		return nil, err
	}
	if c.out, err = iface.OutEndpoint(out.Number); err != nil {
		return nil, err
	}
	if c.in, err = reader.NewStream(in.MaxPacketSize, queued); err != nil {
		return nil, err
	}
	c.life, c.cancel = context.WithCancel(context.Background())
	c.end = sync.OnceFunc(c.finish)
	return c, nil
}

// endpoints finds the pair of an interface: bulk, or interrupt.
func endpoints(s gousb.InterfaceSetting) (in, out gousb.EndpointDesc, err error) {
	for _, e := range s.Endpoints {
		if e.TransferType != gousb.TransferTypeBulk && e.TransferType != gousb.TransferTypeInterrupt {
			continue
		}
		if e.Direction == gousb.EndpointDirectionIn {
			in = e
		} else {
			out = e
		}
	}
	if in.MaxPacketSize == 0 || out.MaxPacketSize == 0 {
		return in, out, fmt.Errorf("interface %d lacks an endpoint in a direction", s.Number)
	}
	return in, out, nil
}

// MaxPacket is wMaxPacketSize of the IN endpoint.
func (c *Channel) MaxPacket() int { return c.max }

// use begins a transfer, whose end Close waits for.
func (c *Channel) use() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	c.users.Add(1)
	return nil
}

// join returns a context that ends with the channel too.
func (c *Channel) join(ctx context.Context) (joined context.Context, stop func()) {
	joined, cancel := context.WithCancel(ctx)
	undo := context.AfterFunc(c.life, cancel)
	return joined, func() { undo(); cancel() }
}

// Read returns the bytes of one IN transfer of at most one packet. buf has MaxPacket bytes. After the end of ctx, or
// after any error, nothing more can be read.
func (c *Channel) Read(ctx context.Context, buf []byte) (int, error) {
	own := make([]byte, len(buf))
	n, err := c.transfer(ctx, "read", func(ctx context.Context) (int, error) { return c.in.ReadContext(ctx, own) })
	return copy(buf, own[:n]), err
}

// Write sends p as one OUT transfer; an empty p is a zero-length packet. Write returns the number of bytes that
// surely left; the error wraps ErrUnsent when surely no byte left.
func (c *Channel) Write(ctx context.Context, p []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	own := bytes.Clone(p)
	n, err := c.transfer(ctx, "write", func(ctx context.Context) (int, error) {
		defer clear(own) // may hold a passphrase
		return c.out.WriteContext(ctx, own)
	})
	return n, unsent(err)
}

// unsent marks an error of the submission: the kernel has not taken the transfer. The status of a transfer that
// failed later does not tell how many bytes left.
func unsent(err error) error {
	var submission gousb.Error
	if errors.As(err, &submission) {
		return unsentError{err}
	}
	return err
}

type unsentError struct{ err error }

func (e unsentError) Error() string   { return e.err.Error() }
func (e unsentError) Unwrap() []error { return []error{ErrUnsent, e.err} }

// transfer does one transfer, and cancels the transfer when ctx ends or the channel is closed. After the
// cancellation, transfer waits only for a while: a transfer that libusb does not give back stays with a goroutine.
func (c *Channel) transfer(ctx context.Context, what string, f func(context.Context) (int, error)) (int, error) {
	if err := c.use(); err != nil {
		return 0, err
	}
	joined, stop := c.join(ctx)
	done := make(chan outcome, 1)
	go func() {
		defer c.users.Done()
		defer stop()
		n, err := f(joined)
		done <- outcome{n, err}
	}()
	var o outcome
	select {
	case o = <-done:
		return o.n, c.failed(ctx, what, o.err)
	case <-joined.Done():
	}
	timer := time.NewTimer(closeTimeout)
	defer timer.Stop()
	select {
	case o = <-done:
		return o.n, c.failed(ctx, what, o.err)
	case <-timer.C:
		return 0, fmt.Errorf("%s: %w", what, ErrHung)
	}
}

type outcome struct {
	n   int
	err error
}

// failed says why a transfer ended.
func (c *Channel) failed(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case c.life.Err() != nil:
		return errClosed
	case ctx.Err() != nil:
		return ctx.Err()
	}
	err = explain(fmt.Errorf("%s: %w", what, err), c.d.info)
	if !errors.Is(err, ErrGone) && missing(c.d.info.Node()) {
		err = fmt.Errorf("%w: %w", ErrGone, err) // the transfer failed before the kernel knew why
	}
	return err
}

// Close ends reading and writing, and gives the interface back. When the transfers do not end in time the error wraps
// ErrHung.
func (c *Channel) Close() error {
	return within(closeTimeout, func() error { c.end(); return nil })
}

func (c *Channel) finish() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.users.Wait()
	c.drain()
	c.d.release(c.iface)
	c.d.bus.setClaimed(claim{c.d.info.ID, c.number}, false)
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	c.d.channels = slices.DeleteFunc(c.d.channels, func(o *Channel) bool { return o == c })
}

// drain ends the reads that are still queued: a read with an ended context cancels all queued reads.
func (c *Channel) drain() {
	buf := make([]byte, c.max)
	for {
		if _, err := c.in.ReadContext(c.life, buf); err != nil {
			return
		}
	}
}
