//go:build linux

// Command ledger is an emulated Ledger with the Tezos Baking app, on the laboratory's USB bus: an HID interface and a
// WebUSB interface.
package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
	"highwater/test/usb/gadget"
)

// appReport is the descriptor of the app's HID interface: usage page FFA0, 64 bytes each way, no report id.
var appReport = []byte{
	0x06, 0xa0, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x03, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81, 0x08,
	0x09, 0x04, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x08, 0xc0,
}

// keyboardReport is the descriptor of a HID interface that belongs to no Ledger.
var keyboardReport = []byte{
	0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x81, 0x02,
	0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xc0,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ledger gadget:", err)
		os.Exit(1)
	}
}

type settings struct {
	name, seed, chain, curve string
	product, level           uint
	latency                  time.Duration
	keyboard, trace          bool
}

func run() error {
	var s settings
	flag.StringVar(&s.name, "name", "ledger", "name in configfs")
	flag.StringVar(&s.seed, "seed", "", "decides the keys")
	flag.StringVar(&s.chain, "chain", "", "main chain")
	flag.StringVar(&s.curve, "curve", "ed25519", "curve of the authorised key")
	flag.UintVar(&s.product, "product", 0x5011, "product id")
	flag.UintVar(&s.level, "level", 0, "level of the main mark")
	flag.DurationVar(&s.latency, "latency", 0, "time for a signature")
	flag.BoolVar(&s.keyboard, "keyboard", false, "put a keyboard's HID interface first")
	flag.BoolVar(&s.trace, "trace", false, "tell each command")
	flag.Parse()
	console := gadget.NewConsole(os.Stdin, os.Stdout)
	sim, err := newSim(s, console)
	if err != nil {
		return err
	}
	return serve(s, sim, console)
}

func newSim(s settings, console *gadget.Console) (*ledgersim.Device, error) {
	chain, err := tezos.ParseChainID(s.chain)
	if err != nil {
		return nil, err
	}
	curve, err := ledger.ParseCurve(s.curve)
	if err != nil {
		return nil, err
	}
	trace := func([]byte, []byte) {}
	if s.trace {
		trace = func(apdu, _ []byte) { console.Tell("command", "%x", apdu[:min(len(apdu), 4)]) }
	}
	return ledgersim.New(ledgersim.Options{
		Trace: trace, Seed: s.seed, Latency: ledgersim.Uniform(s.latency), Decide: ledgersim.Always(ledgersim.Accept),
		Setup: []ledgersim.Setup{{Curve: curve, Chain: chain, Main: uint32(s.level)}}, //nolint:gosec // a level
	})
}

// emulator is the gadget with its device.
type emulator struct {
	*gadget.Console
	usb     *gadget.Gadget
	f       *gadget.Function
	sim     *ledgersim.Device
	iface   int         // of the app
	cut     atomic.Bool // pull the cable in the middle of the next long command
	reports chan report
}

func serve(s settings, sim *ledgersim.Device, console *gadget.Console) error {
	g, err := gadget.New(gadget.Description{
		Name: s.name, Vendor: ledger.VendorID, Product: uint16(s.product), Release: 0x0201, //nolint:gosec // 16 bits
		Serial: "0001", Manufacturer: "Ledger", Caption: "Nano S Plus",
	})
	if err != nil {
		return err
	}
	interfaces := []gadget.Interface{
		{Class: 3, Kind: gadget.Interrupt, Report: appReport, Name: "app", In: 2, Out: 2},
		{Class: 0xff, Kind: gadget.Interrupt, Name: "WebUSB", In: 3, Out: 3},
	}
	e := &emulator{Console: console, usb: g, sim: sim, reports: make(chan report)}
	if s.keyboard {
		e.iface = 1
		first := gadget.Interface{Class: 3, Kind: gadget.Interrupt, Report: keyboardReport, Name: "keyboard", In: 4, Out: 4}
		interfaces = append([]gadget.Interface{first}, interfaces...)
	}
	if e.f, err = gadget.Serve(gadget.FunctionDir(s.name), interfaces, setupOf(interfaces)); err != nil {
		return err
	}
	go e.sessions()
	return e.Run(e.do)
}

// setupOf answers the control requests of usbhid and of hosts.
func setupOf(interfaces []gadget.Interface) func(gadget.Setup) ([]byte, bool) {
	return func(s gadget.Setup) ([]byte, bool) {
		if int(s.Index) >= len(interfaces) || interfaces[s.Index].Report == nil {
			return nil, false
		}
		switch {
		case s.Type == 0x81 && s.Request == 6 && s.Value == 0x2200:
			return interfaces[s.Index].Report, true
		case s.Type == 0x21 && (s.Request == 0x0a || s.Request == 0x0b): // SET_IDLE, SET_PROTOCOL
			return nil, true
		}
		return nil, false
	}
}

func (e *emulator) do(verb string, args []string) error {
	switch verb {
	case "lock":
		e.sim.Lock()
	case "unlock":
		e.sim.Unlock()
	case "open":
		e.sim.Open()
	case "cut":
		e.cut.Store(true)
	default:
		return gadget.Cable(e.usb, verb, args)
	}
	return nil
}

// sessions serves one plug after the other. An app that ended on an unfetched answer appears anew, as on the device.
func (e *emulator) sessions() {
	go e.pump()
	for {
		p := &port{e: e, done: make(chan struct{})}
		err := ledgersim.ServeHID(context.Background(), p, e.sim)
		if errors.Is(err, ledgersim.ErrNotFetched) {
			e.Tell("expired", "%v", err)
			if err := errors.Join(e.usb.Unplug(), gadget.Cable(e.usb, "plug", nil)); err != nil {
				e.Tell("failed", "%v", err)
			}
		}
	}
}

// pump reads all the time, because a started read cannot be taken back. On request, pump pulls the cable in the middle
// of a command of several reports.
func (e *emulator) pump() {
	for {
		b := make([]byte, ledger.ReportSize)
		n, err := e.f.Read(e.iface, b)
		if err == nil && begins(b[:n]) && e.cut.CompareAndSwap(true, false) {
			err = errors.Join(gadget.ErrUnplugged, e.usb.Unplug())
			e.Tell("cut", "%s", hex.EncodeToString(b))
		}
		e.reports <- report{b[:n], err}
	}
}

// begins tells whether a report is the first of several.
func begins(b []byte) bool {
	const tagAPDU, inOne = 5, 57
	return len(b) == ledger.ReportSize && b[2] == tagAPDU && binary.BigEndian.Uint16(b[3:]) == 0 &&
		binary.BigEndian.Uint16(b[5:]) > inOne
}

// report is the result of one read of the endpoint.
type report struct {
	b   []byte
	err error
}

// port is the function's endpoints as a stream of reports, from plug to unplug.
type port struct {
	e    *emulator
	done chan struct{}
	once sync.Once
}

// Read takes a report.
func (p *port) Read(b []byte) (int, error) {
	select {
	case r := <-p.e.reports:
		return copy(b, r.b), r.err
	case <-p.done:
		return 0, io.EOF
	}
}

// Write gives a report to the host, and waits until the host has fetched the report, or until the stream is closed.
func (p *port) Write(b []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	out := make(chan result, 1)
	own := append([]byte(nil), b...)
	go func() {
		n, err := p.e.f.Write(p.e.iface, own)
		out <- result{n, err}
	}()
	select {
	case r := <-out:
		return r.n, r.err
	case <-p.done:
		return 0, io.ErrClosedPipe
	}
}

func (p *port) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}
