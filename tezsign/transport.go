package tezsign

import (
	"context"
	"errors"
	"fmt"
)

// The gadget's USB identity and interfaces. The gadget's controller assigns endpoint numbers: never hardcode endpoint
// numbers.
const (
	VendorID        = 0x9997
	ProductID       = 0x0001
	SignInterface   = 0 // sign, status, version
	ManageInterface = 1 // everything but sign
	// DefaultSerial is the serial of every gadget without a serial file.
	DefaultSerial = "000000000000"
)

// Errors of a transport; the errors are wrapped.
var (
	// ErrGone: the gadget is not connected (any more).
	ErrGone = errors.New("the gadget is not connected")
	// ErrInUse: another process, or another part of this process, has claimed the interface.
	ErrInUse = errors.New("the interface is in use")
	// ErrAmbiguous: more than one gadget fits the request.
	ErrAmbiguous = errors.New("more than one gadget fits")
)

// Channel is one claimed interface: its bulk OUT and its bulk IN endpoint. Write and Read may run at the same time,
// each in one goroutine; Close ends both.
type Channel interface {
	// MaxPacket is wMaxPacketSize of the endpoints: 512 (high speed) or 64 (full speed).
	MaxPacket() int
	// Write sends p as one OUT transfer; an empty p is a zero-length packet. Write returns the number of bytes that
	// surely left; the error wraps usb.ErrUnsent when surely no byte left. Do not give up a write half way: end ctx
	// only when the gadget is beyond hope.
	Write(ctx context.Context, p []byte) (int, error)
	// Read does one IN transfer into buf, of MaxPacket bytes. The gadget sends no zero-length packets: a longer
	// buffer would wait for more bytes.
	Read(ctx context.Context, buf []byte) (int, error)
	Close() error
}

// Info is the bus's description of a gadget.
type Info struct {
	Serial string
	Where  string // bus and port, or "sim"
}

// Gadget is an opened gadget. The interfaces are claimed separately: two processes can share a gadget.
type Gadget interface {
	Info() Info
	// Claim claims an interface. The error wraps ErrInUse when the interface is claimed already, ErrGone when the
	// gadget has left.
	Claim(ctx context.Context, iface int) (Channel, error)
	// Control does a control transfer on endpoint 0. Set a deadline: the gadget may never answer.
	Control(ctx context.Context, requestType, request uint8, value, index uint16, data []byte) (int, error)
	Close() error
}

// OpenFunc finds and opens the gadget with a serial; an empty serial means the only gadget. The error wraps ErrGone
// without a gadget, ErrAmbiguous with several.
type OpenFunc func(ctx context.Context, serial string) (Gadget, error)

// Pick chooses among the connected gadgets, for transports: the gadget with the serial, or the only gadget when
// serial is empty.
func Pick(serial string, connected []Info) (Info, error) {
	var fit []Info
	for _, i := range connected {
		if serial == "" || i.Serial == serial {
			fit = append(fit, i)
		}
	}
	switch {
	case len(fit) == 1:
		return fit[0], nil
	case len(fit) == 0 && serial != "":
		return Info{}, fmt.Errorf("%w: no gadget of the %d connected has the serial %s", ErrGone, len(connected), serial)
	case len(fit) == 0:
		return Info{}, ErrGone
	case allDefault(fit):
		return Info{}, fmt.Errorf("%w: %d connected gadgets have no serial of their own and show the default serial (%s): "+
			"write a serial into the file tezsign_id on each gadget's card, or connect a single gadget",
			ErrAmbiguous, len(fit), DefaultSerial)
	case serial == "":
		return Info{}, fmt.Errorf("%w: %d gadgets are connected: name the right gadget by its serial", ErrAmbiguous, len(fit))
	default:
		return Info{}, fmt.Errorf("%w: %d gadgets are connected with the serial %s", ErrAmbiguous, len(fit), serial)
	}
}

func allDefault(infos []Info) bool {
	for _, i := range infos {
		if i.Serial != DefaultSerial {
			return false
		}
	}
	return true
}

// The readiness request on endpoint 0: IN, type standard (not vendor), recipient interface. The answer is "TZSG",
// version 1 little endian, a byte that is 1 when the gadget's broker runs, and a filler.
const (
	readyRequestType = 0x81
	readyRequest     = 0x5a
	readyLen         = 8
	readyFlag        = 6
	readyMagic       = "TZSG\x01\x00"
)

// ready asks whether the gadget's broker runs. Only a round trip shows whether a channel is wedged.
func ready(ctx context.Context, g Gadget, iface int) (bool, error) {
	answer := make([]byte, readyLen)
	n, err := g.Control(ctx, readyRequestType, readyRequest, 0, uint16(iface), answer) //nolint:gosec // 0 or 1
	if err != nil {
		return false, fmt.Errorf("readiness request: %w", err)
	}
	if n != readyLen || string(answer[:readyFlag]) != readyMagic {
		return false, fmt.Errorf("readiness request: unexpected answer %x", answer[:n])
	}
	return answer[readyFlag] == 1, nil
}
