//go:build linux

// Command tezsign is an emulated TezSign gadget on the laboratory's USB bus: two vendor interfaces, and the readiness
// request.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"highwater/test/usb/gadget"
	"highwater/tezsign"
	"highwater/tezsign/frame"
	"highwater/tezsign/tezsignsim"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "tezsign gadget:", err)
		os.Exit(1)
	}
}

func run() error {
	var name, serial, seed, keys string
	var latency time.Duration
	var full bool
	flag.StringVar(&name, "name", "tezsign", "name in configfs")
	flag.StringVar(&serial, "serial", tezsign.DefaultSerial, "serial")
	flag.StringVar(&seed, "seed", "", "decides the keys")
	flag.StringVar(&keys, "keys", "consensus", "unlocked keys of the gadget")
	flag.DurationVar(&latency, "latency", 0, "time for a signature")
	flag.BoolVar(&full, "full-speed", false, "the bus is a full-speed bus")
	flag.Parse()
	options := tezsignsim.Options{
		Serial: serial, Seed: seed, Keys: strings.Split(keys, ","), Latency: latency,
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if full {
		options.MaxPacket = 64
	}
	sim, err := tezsignsim.New(options)
	if err != nil {
		return err
	}
	return serve(name, serial, sim)
}

// emulator is the gadget with its device. The emulator is the host of the emulated device, and carries packets between
// device and endpoints.
type emulator struct {
	*gadget.Console
	usb *gadget.Gadget
	f   *gadget.Function
	sim *tezsignsim.Gadget
	// Pull the cable after the first packet of the next frame on interface 0, or instead of the next answer.
	cutFrame, cutAnswer atomic.Bool

	mu       sync.Mutex
	channels [2]tezsign.Channel // nil: none now
	changed  chan struct{}      // closed when channels change, and replaced
}

func serve(name, serial string, sim *tezsignsim.Gadget) error {
	g, err := gadget.New(gadget.Description{
		Name: name, Vendor: tezsign.VendorID, Product: tezsign.ProductID, Release: 0x0100,
		Serial: serial, Manufacturer: "TzC", Caption: "tezsign-gadget",
	})
	if err != nil {
		return err
	}
	e := &emulator{Console: gadget.NewConsole(os.Stdin, os.Stdout), usb: g, sim: sim, changed: make(chan struct{})}
	interfaces := []gadget.Interface{
		{Class: 0xff, Kind: gadget.Bulk, Name: "tezsign-0", In: 1, Out: 2},
		{Class: 0xff, Kind: gadget.Bulk, Name: "tezsign-1", In: 3, Out: 4},
	}
	e.f, err = gadget.Serve(gadget.FunctionDir(name), interfaces, func(s gadget.Setup) ([]byte, bool) {
		return sim.Readiness(s.Type, s.Request, s.Value)
	})
	if err != nil {
		return err
	}
	sim.Unbind() // as the cable is
	for i := range interfaces {
		go e.toDevice(i)
		go e.toHost(i)
	}
	return e.Run(e.do)
}

func (e *emulator) do(verb string, args []string) error {
	switch verb {
	case "plug":
		e.sim.Bind()
		return errors.Join(e.attach(), gadget.Cable(e.usb, verb, args))
	case "unplug":
		err := gadget.Cable(e.usb, verb, args)
		e.sim.Unbind()
		return err
	case "power-off": // with the cable
		err := gadget.Cable(e.usb, "unplug", nil)
		e.sim.Unplug()
		return err
	case "power-on":
		return errors.Join(e.sim.Replug(), e.attach(), gadget.Cable(e.usb, "plug", args))
	case "cut-frame":
		e.cutFrame.Store(true)
		return nil
	case "cut-answer":
		e.cutAnswer.Store(true)
		return nil
	case "signatures":
		e.Tell("signatures", "%d", len(e.sim.Signatures()))
		return nil
	case "violations":
		e.Tell("violations", "%s", strings.Join(e.sim.Violations(), "; "))
		return nil
	}
	return fmt.Errorf("%w: %s", gadget.ErrUnknown, verb)
}

// attach claims both interfaces of the emulated device, anew after each plugging-in.
func (e *emulator) attach() error {
	ctx := context.Background()
	g, err := e.sim.Open(ctx, "")
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range e.channels {
		if old := e.channels[i]; old != nil {
			err = errors.Join(err, old.Close())
		}
		c, cerr := g.Claim(ctx, i)
		if cerr != nil {
			return errors.Join(err, cerr)
		}
		e.channels[i] = c
	}
	close(e.changed)
	e.changed = make(chan struct{})
	return err
}

// channel gives the interface of the emulated device: a new channel after failed.
func (e *emulator) channel(i int, failed tezsign.Channel) tezsign.Channel {
	for {
		e.mu.Lock()
		c, changed := e.channels[i], e.changed
		e.mu.Unlock()
		if c != nil && c != failed {
			return c
		}
		<-changed
	}
}

// toDevice carries the host's transfers. A transfer ends with a short or empty packet.
func (e *emulator) toDevice(i int) {
	var transfer []byte
	for {
		c := e.channel(i, nil)
		packet := make([]byte, c.MaxPacket())
		n, err := e.f.Read(i, packet)
		if err != nil {
			transfer = nil
			continue // unplugged: the next read waits
		}
		if i == 0 && e.cutFrame.CompareAndSwap(true, false) {
			transfer = nil
			e.pull("frame", n)
			continue
		}
		transfer = append(transfer, packet[:n]...)
		if n == len(packet) {
			continue
		}
		if err := send(e.channel(i, nil), transfer); err != nil {
			e.Tell("lost", "%d bytes to the device: %v", len(transfer), err)
		}
		transfer = nil
	}
}

func send(c tezsign.Channel, transfer []byte) error {
	if len(transfer) == 0 {
		return nil
	}
	_, err := c.Write(context.Background(), transfer)
	if err == nil && len(transfer)%c.MaxPacket() == 0 {
		_, err = c.Write(context.Background(), nil)
	}
	return err
}

// pull pulls the cable.
func (e *emulator) pull(what string, n int) {
	err := gadget.Cable(e.usb, "unplug", nil)
	e.sim.Unbind()
	if err != nil {
		e.Tell("failed", "%v", err)
	}
	e.Tell("cut", "%s: %d bytes", what, n)
}

// toHost carries the device's answers, packet by packet and without an empty packet at the end, as the gadget does.
func (e *emulator) toHost(i int) {
	var c tezsign.Channel
	var failed tezsign.Channel
	for {
		c = e.channel(i, failed)
		buf := make([]byte, c.MaxPacket())
		n, err := c.Read(context.Background(), buf)
		if err != nil {
			failed = c
			continue
		}
		if i == 0 && n > 1 && frame.Type(buf[1]) == frame.Response && e.cutAnswer.CompareAndSwap(true, false) {
			e.pull("answer", n)
			continue
		}
		if _, err := e.f.Write(i, buf[:n]); err != nil {
			e.Tell("lost", "%d bytes to the host: %v", n, err)
		}
	}
}
