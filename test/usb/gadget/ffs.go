//go:build linux

package gadget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Endpoint types.
const (
	Bulk      = 2
	Interrupt = 3
)

// Interface describes one interface of a function, with one IN and one OUT endpoint.
type Interface struct {
	Class  byte
	Kind   byte   // of the endpoints
	Report []byte // HID report descriptor, with Class 3
	Name   string
	// Endpoint numbers; the controller may assign others. The packet size is 64, but 512 for Bulk at high speed.
	In, Out byte
}

// packet sizes of the endpoints.
const (
	smallPacket = 64
	bulkPacket  = 512
)

// Setup is a control request to an interface of the function.
type Setup struct {
	Type, Request byte
	Value, Index  uint16
	Length        int
}

// Function is a served FunctionFS instance. Files are used with plain system calls: a read of no bytes must reach the
// kernel.
type Function struct {
	ep0 int
	eps []int // IN and OUT of each interface in turn
}

// Serve writes the descriptors to the FunctionFS at dir, after which the gadget can be plugged in, and answers control
// requests by setup: the answer to an IN request; false stalls.
func Serve(dir string, interfaces []Interface, setup func(Setup) ([]byte, bool)) (*Function, error) {
	ep0, err := unix.Open(filepath.Join(dir, "ep0"), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if _, err := unix.Write(ep0, descriptors(interfaces)); err != nil {
		return nil, fmt.Errorf("descriptors: %w", err)
	}
	if _, err := unix.Write(ep0, texts(interfaces)); err != nil {
		return nil, fmt.Errorf("strings: %w", err)
	}
	f := &Function{ep0: ep0}
	for n := range 2 * len(interfaces) {
		fd, err := unix.Open(filepath.Join(dir, fmt.Sprintf("ep%d", n+1)), unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		f.eps = append(f.eps, fd)
	}
	go f.control(setup)
	return f, nil
}

// descriptors are in the second form of FunctionFS (linux/usb/functionfs.h): magic, length, flags, counts, then the
// descriptors of full and of high speed.
func descriptors(interfaces []Interface) []byte {
	full, n := speed(interfaces, smallPacket, 1)
	high, _ := speed(interfaces, bulkPacket, 4)
	const head = 20
	b := le32(3, head+len(full)+len(high), 1|2, n, n)
	return append(append(b, full...), high...)
}

func speed(interfaces []Interface, bulk int, interval byte) (b []byte, n int) {
	for i, f := range interfaces {
		size := smallPacket
		if f.Kind == Bulk {
			size, interval = bulk, 0
		}
		b = append(b, 9, 4, byte(i), 0, 2, f.Class, 0, 0, byte(i+1))
		if f.Report != nil {
			b = append(b, 9, 0x21, 0x11, 0x01, 0, 1, 0x22, byte(len(f.Report)), 0) //nolint:gosec // a report descriptor of some 30 bytes
			n++
		}
		for _, address := range []byte{0x80 | f.In, f.Out} {
			b = append(b, 7, 5, address, f.Kind, byte(size), byte(size>>8), interval)
		}
		n += 3
	}
	return b, n
}

func texts(interfaces []Interface) []byte {
	body := []byte{0x09, 0x04} // US English
	for _, f := range interfaces {
		body = append(append(body, f.Name...), 0)
	}
	const head = 16
	return append(le32(2, head+len(body), len(interfaces), 1), body...)
}

func le32(values ...int) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v)) //nolint:gosec // small
	}
	return b
}

// Events of ep0.
const (
	eventSize  = 12
	eventSetup = 4
)

func (f *Function) control(setup func(Setup) ([]byte, bool)) {
	b := make([]byte, eventSize)
	for {
		n, err := unix.Read(f.ep0, b)
		switch {
		// EIDRM: a request was cancelled
		case errors.Is(err, unix.EINTR), err == nil && n < eventSize, errors.Is(err, unix.EIDRM):
			continue
		case err != nil:
			return
		}
		if b[8] == eventSetup {
			f.answer(Setup{
				Type: b[0], Request: b[1], Value: binary.LittleEndian.Uint16(b[2:]), Index: binary.LittleEndian.Uint16(b[4:]),
				Length: int(binary.LittleEndian.Uint16(b[6:])),
			}, setup)
		}
	}
}

// answer answers a request, or stalls by an operation in the wrong direction. Errors mean that the host gave up.
func (f *Function) answer(s Setup, setup func(Setup) ([]byte, bool)) {
	in := s.Type&0x80 != 0
	out, ok := setup(s)
	switch {
	case in && ok:
		_, _ = unix.Write(f.ep0, out[:min(len(out), s.Length)])
	case in:
		_, _ = unix.Read(f.ep0, nil)
	case ok:
		_, _ = unix.Read(f.ep0, make([]byte, s.Length))
	default:
		_, _ = unix.Write(f.ep0, nil)
	}
}

// ErrUnplugged is the error of a transfer ended by unplugging. The next transfer waits for the next plug.
var ErrUnplugged = errors.New("unplugged")

// Read takes one OUT transfer of an interface, up to the length of buf, in whole packets.
func (f *Function) Read(iface int, buf []byte) (int, error) {
	return again(func() (int, error) { return unix.Read(f.eps[2*iface+1], buf) })
}

// Write does one IN transfer of an interface, and returns once the host has fetched the bytes. Write adds no empty
// packet.
func (f *Function) Write(iface int, b []byte) (int, error) {
	return again(func() (int, error) { return unix.Write(f.eps[2*iface], b) })
}

func again(f func() (int, error)) (int, error) {
	for {
		n, err := f()
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ESHUTDOWN), errors.Is(err, unix.ECONNRESET):
			return 0, ErrUnplugged
		case err != nil:
			return 0, err
		default:
			return n, nil
		}
	}
}
