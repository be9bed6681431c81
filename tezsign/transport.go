package tezsign

import (
	"context"
	"errors"
	"fmt"
)

// The gadget's USB identity and interfaces. Endpoint numbers are assigned by its controller: never hardcode them.
const (
	VendorID        = 0x9997
	ProductID       = 0x0001
	SignInterface   = 0 // sign, status, version
	ManageInterface = 1 // everything but sign
	// DefaultSerial is the serial of a gadget without its serial file: every such gadget has it.
	DefaultSerial = "000000000000"
)

// Errors that a transport tells apart; they are wrapped.
var (
	// ErrGone: the gadget is not connected (any more).
	ErrGone = errors.New("the gadget is not connected")
	// ErrInUse: another process, or another part of this one, has claimed the interface.
	ErrInUse = errors.New("the interface is in use")
	// ErrAmbiguous: more than one gadget fits what was asked for.
	ErrAmbiguous = errors.New("more than one gadget fits")
)

// Channel is one claimed interface: its bulk OUT and its bulk IN endpoint. Write and Read may run at the same time, each in one
// goroutine; Close ends both.
type Channel interface {
	// MaxPacket is wMaxPacketSize of the endpoints: 512 (high speed) or 64 (full speed).
	MaxPacket() int
	// Write sends p as one OUT transfer; an empty p is a zero-length packet. It returns how many bytes surely left; the error wraps
	// usb.ErrUnsent when surely none did. It is not to be given up half way: ctx ends only when the gadget is beyond hope.
	Write(ctx context.Context, p []byte) (int, error)
	// Read does one IN transfer into buf, which has MaxPacket bytes: the gadget sends no zero-length packets, so a longer buffer
	// would wait for more.
	Read(ctx context.Context, buf []byte) (int, error)
	Close() error
}

// Info is what the bus says of a gadget.
type Info struct {
	Serial string
	Where  string // bus and port, or "sim"
}

// Gadget is an opened gadget. Its interfaces are claimed one by one, so that two processes can share it.
type Gadget interface {
	Info() Info
	// Claim claims an interface. The error wraps ErrInUse when somebody has it, ErrGone when the gadget left.
	Claim(ctx context.Context, iface int) (Channel, error)
	// Control does a control transfer on endpoint 0. Give it a deadline: the gadget may never answer.
	Control(ctx context.Context, requestType, request uint8, value, index uint16, data []byte) (int, error)
	Close() error
}

// OpenFunc finds and opens the gadget with a serial; an empty serial means the only one. The error wraps ErrGone when there is
// none, ErrAmbiguous when there are several.
type OpenFunc func(ctx context.Context, serial string) (Gadget, error)

// Pick chooses among the connected gadgets: the one with the serial, or the only one when no serial is given. It is for
// transports.
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
		return Info{}, fmt.Errorf("%w: none of the %d connected has the serial %s", ErrGone, len(connected), serial)
	case len(fit) == 0:
		return Info{}, ErrGone
	case allDefault(fit):
		return Info{}, fmt.Errorf("%w: %d are connected that have no serial of their own and show the default one (%s): "+
			"write a serial into the file tezsign_id on each gadget's card, or connect one at a time", ErrAmbiguous, len(fit), DefaultSerial)
	case serial == "":
		return Info{}, fmt.Errorf("%w: %d are connected: say which by its serial", ErrAmbiguous, len(fit))
	default:
		return Info{}, fmt.Errorf("%w: %d are connected with the serial %s", ErrAmbiguous, len(fit), serial)
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

// The readiness request on endpoint 0: IN, type standard (not vendor), recipient interface. The answer is "TZSG", version 1 little
// endian, a byte that is 1 when the gadget's broker runs, and a filler.
const (
	readyRequestType = 0x81
	readyRequest     = 0x5a
	readyLen         = 8
	readyFlag        = 6
	readyMagic       = "TZSG\x01\x00"
)

// ready asks whether the gadget's broker runs. It says nothing about a wedged channel: that needs a round trip.
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
