// Package usb is USB for the device drivers: the connected devices, the permission to open a device, and open devices
// with claimed interfaces, whose transfers can be given up at any time.
//
// The connected devices are read from sysfs, without permission and without libusb; libusb (through gousb, with cgo)
// serves open devices only. A device is never reset.
package usb

import (
	"errors"
	"fmt"
)

// Errors for callers to distinguish; the errors are wrapped.
var (
	// ErrGone: the device is not connected any more.
	ErrGone = errors.New("the device is not connected")
	// ErrInUse: another program, or another part of this process, has claimed the interface.
	ErrInUse = errors.New("the interface is in use")
	// ErrUnsent: nothing of a write can have reached the device.
	ErrUnsent = errors.New("nothing was sent")
	// ErrNoUSB: the build cannot open devices.
	ErrNoUSB = errors.New("this build has no USB (built without cgo): use the full build, or a tcp:// transport")
	// ErrHung: an operation did not end when given up; its resources stay open until the operation ends.
	ErrHung = errors.New("a USB operation does not end")
)

// ID tells one plugging-in from all others, even of the same device at the same port.
type ID struct {
	Bus, Address int
	inode        uint64
}

// Info is the system's knowledge of a connected device, whether or not the device may be opened.
type Info struct {
	ID
	Vendor, Product               uint16
	Manufacturer, Name, SerialNum string // the device's own texts; may be empty
	Port                          string // the kernel's name for the device's place: bus, dash, ports ("1-2.4")
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
	// UsagePage and Usage are the first in the HID report descriptor, known to the system while usbhid is bound; else
	// zero.
	UsagePage, Usage uint16
}

// Classes of interfaces.
const (
	ClassHID    uint8 = 0x03
	ClassVendor uint8 = 0xff
)

// Match says which devices are of interest.
type Match func(vendor, product uint16) bool

// HintText is the advice in an error, or nothing.
func HintText(err error) string {
	var h interface{ HintText() string }
	if errors.As(err, &h) {
		return h.HintText()
	}
	return ""
}
