// Package usb is what the device drivers need of USB: what is connected, who may open it, and open devices with claimed interfaces
// on which transfers can be given up at any time.
//
// What is connected is read from sysfs, which needs no permission and no libusb; libusb (through gousb, with cgo) is for
// open devices only. A device is never reset.
package usb

import (
	"errors"
	"fmt"
)

// Errors that callers tell apart; they are wrapped.
var (
	// ErrGone: the device is not connected any more.
	ErrGone = errors.New("the device is not connected")
	// ErrInUse: another program, or another part of this one, has claimed the interface.
	ErrInUse = errors.New("the interface is in use")
	// ErrUnsent: nothing of a write can have reached the device.
	ErrUnsent = errors.New("nothing was sent")
	// ErrNoUSB: this build cannot open devices.
	ErrNoUSB = errors.New("this build has no USB (it was built without cgo): use the full build, or a tcp:// transport")
	// ErrHung: an operation did not end when it was given up; what it used stays open until it does.
	ErrHung = errors.New("a USB operation does not end")
)

// ID tells one plugging-in from all others, also of the same device at the same port.
type ID struct {
	Bus, Address int
	inode        uint64
}

// Info is what the system knows of a connected device, whether or not it may be opened.
type Info struct {
	ID
	Vendor, Product               uint16
	Manufacturer, Name, SerialNum string // as the device says them; may be empty
	Port                          string // the kernel's name for its place: bus, dash, ports ("1-2.4")
	Speed                         string // Mbit/s: "12", "480"
	Interfaces                    []Interface
}

// Where is the device's place, for people.
func (i Info) Where() string { return "usb " + i.Port }

// Node is the device's file.
func (i Info) Node() string { return fmt.Sprintf("/dev/bus/usb/%03d/%03d", i.Bus, i.Address) }

// Interface is an interface of a connected device.
type Interface struct {
	Number    int
	Class     uint8
	Driver    string // of the kernel, bound now: "usbhid", "usbfs"; may be empty
	Endpoints int    // beside the control endpoint
	// UsagePage and Usage are the first of the HID report descriptor, which the system knows while usbhid is bound; else zero.
	UsagePage, Usage uint16
}

// Classes of interfaces.
const (
	ClassHID    uint8 = 0x03
	ClassVendor uint8 = 0xff
)

// Match says which devices are of interest.
type Match func(vendor, product uint16) bool

// HintText is the advice that an error carries, or nothing.
func HintText(err error) string {
	var h interface{ HintText() string }
	if errors.As(err, &h) {
		return h.HintText()
	}
	return ""
}
