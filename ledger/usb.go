package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"highwater/internal/device"
	"highwater/internal/usb"
)

// VendorID is Ledger's.
const VendorID = 0x2c97

// hidUsagePage is the vendor page of the interface for APDUs; another HID interface of the device may be a keyboard,
// or FIDO.
const hidUsagePage = 0xffa0

// models maps the high byte of the product id to a model. The low byte says which interfaces the open app has.
// Unknown models are used as well.
var models = map[uint16]string{
	0x10: "Nano S", 0x40: "Nano X", 0x50: "Nano S Plus", 0x60: "Stax", 0x70: "Flex", 0x80: "Nano Gen5",
}

// legacyModels maps the whole product id of old firmware to a model.
var legacyModels = map[uint16]string{
	0x0001: "Nano S", 0x0004: "Nano X", 0x0005: "Nano S Plus", 0x0006: "Stax", 0x0007: "Flex", 0x0008: "Nano Gen5",
}

// IsUSB tells whether a USB device is a Ledger of any model. The interface's usage page tells whether the device
// takes APDUs, and the app whether the device can bake.
func IsUSB(vendor, _ uint16) bool { return vendor == VendorID }

// usbModel is the model's name, or the product id of an unknown model.
func usbModel(product uint16) string {
	if m := knownModel(product); m != "" {
		return m
	}
	return fmt.Sprintf("of an unknown model (product id %04x)", product)
}

func knownModel(product uint16) string {
	if m, ok := legacyModels[product]; ok {
		return m
	}
	return models[product>>8]
}

// usbDialer finds one Ledger among the connected devices. All Ledgers show the same serial: usbDialer tries the
// devices in turn until the driver rejects none.
type usbDialer struct {
	bus *usb.Bus

	mu       sync.Mutex
	last     string           // port of the last attempt
	rejected map[usb.ID]error // foreign devices, until unplugged
}

// DialUSB gives a Dial for Config. Dial connects to the Ledgers on a bus in turn, without the devices that this
// process has connected already, and without the devices that the driver has found to be foreign.
func DialUSB(bus *usb.Bus) func(ctx context.Context) (Transport, error) {
	d := &usbDialer{bus: bus, rejected: map[usb.ID]error{}}
	return d.dial
}

// adviceInUse is for a claimed interface.
const adviceInUse = "another program has the Ledger open (Ledger's own software, octez-signer, a second highwater): " +
	"stop the program"

func (d *usbDialer) dial(ctx context.Context) (Transport, error) {
	found, err := d.bus.Find(IsUSB)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: no Ledger on the USB bus", usb.ErrGone)
	}
	var failed error
	for _, info := range d.candidates(found) {
		t, err := d.open(ctx, info)
		if err == nil {
			return t, nil
		}
		if failed == nil || errors.Is(failed, usb.ErrGone) {
			failed = err
		}
		if !errors.Is(err, usb.ErrInUse) && !errors.Is(err, usb.ErrGone) {
			break // a present device with a fault: report the fault; the next attempt takes the next device
		}
	}
	if failed == nil {
		failed = d.none(found)
	}
	return nil, failed
}

// candidates are the devices to try, beginning after the last attempt's port.
func (d *usbDialer) candidates(found []usb.Info) []usb.Info {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id := range d.rejected {
		if !slices.ContainsFunc(found, func(i usb.Info) bool { return i.ID == id }) {
			delete(d.rejected, id)
		}
	}
	var after, before []usb.Info
	for _, i := range found {
		switch _, no := d.rejected[i.ID]; {
		case no || d.ours(i):
		case i.Port > d.last:
			after = append(after, i)
		default:
			before = append(before, i)
		}
	}
	return append(after, before...)
}

// ours tells whether this process has claimed an interface of the device.
func (d *usbDialer) ours(i usb.Info) bool {
	return slices.ContainsFunc(i.Interfaces, func(f usb.Interface) bool { return d.bus.Claimed(i, f.Number) })
}

func (d *usbDialer) none(found []usb.Info) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, i := range found {
		if why, no := d.rejected[i.ID]; no {
			return &device.Error{Health: device.Absent, Hint: adviceOtherID, Retry: true, Err: why}
		}
	}
	return &device.Error{
		Health: device.Absent, Hint: advicePlug, Retry: true,
		Err: fmt.Errorf("the Ledgers on the bus (%d) belong to other devices of the config", len(found)),
	}
}

func (d *usbDialer) open(ctx context.Context, info usb.Info) (Transport, error) {
	d.mu.Lock()
	d.last = info.Port
	d.mu.Unlock()
	dev, err := d.bus.Open(ctx, info)
	if err != nil {
		return nil, usbError(err)
	}
	channel, err := claimHID(ctx, dev)
	if err != nil {
		return nil, errors.Join(usbError(err), dev.Close())
	}
	life, cancel := context.WithCancel(context.Background())
	reports := &usbReports{dev: dev, channel: channel, life: life, cancel: cancel}
	t, err := NewHID(ctx, reports, info.Where())
	if err != nil {
		return nil, usbError(err) // NewHID has closed the reports
	}
	return &usbTransport{Transport: t, dialer: d, info: info}, nil
}

// usbError adds advice for the operator.
func usbError(err error) error {
	var de *device.Error
	if errors.As(err, &de) {
		return err
	}
	out := &device.Error{Health: device.Absent, Hint: advicePlug, Retry: true, Err: err}
	switch hint := usb.HintText(err); {
	case hint != "":
		out.Hint = hint
	case errors.Is(err, usb.ErrInUse):
		out.Health, out.Hint = device.Busy, adviceInUse
	case errors.Is(err, usb.ErrNoUSB):
		out.Health, out.Hint, out.Retry = device.Broken, "", false
	}
	return out
}

// NoAPDUsError says that a connected Ledger has no interface for APDUs: the commands of the Baking app cannot reach the
// Ledger.
type NoAPDUsError struct {
	Label string // of USBLabel
	Where string // of usb.Info
}

func (e *NoAPDUsError) Error() string {
	return fmt.Sprintf("the %s at %s has no interface for the Baking app (APDUs)", e.Label, e.Where)
}

// HintText is what to do.
func (e *NoAPDUsError) HintText() string { return adviceNoAPDUs }

// Unwrap makes the Ledger count as not connected: another Ledger may serve.
func (e *NoAPDUsError) Unwrap() error { return usb.ErrGone }

func noAPDUs(i usb.Info) error { return &NoAPDUsError{USBLabel(i), i.Where()} }

// Unusable says why a connected Ledger cannot be used with any permission; nil: nothing is known against the Ledger.
func Unusable(i usb.Info) error {
	if len(apduInterfaces(i)) == 0 {
		return noAPDUs(i)
	}
	return nil
}

// apduInterfaces are the HID interfaces of a Ledger with the usage page of APDUs, or with a page unknown to the system.
func apduInterfaces(i usb.Info) (out []usb.Interface) {
	for _, f := range i.Interfaces {
		if f.Class == usb.ClassHID && f.Endpoints >= 2 && (f.UsagePage == 0 || f.UsagePage == hidUsagePage) {
			out = append(out, f)
		}
	}
	return out
}

// claimHID claims the HID interface for APDUs.
func claimHID(ctx context.Context, dev *usb.Device) (*usb.Channel, error) {
	info := dev.Info()
	hid := apduInterfaces(info)
	for _, f := range hid {
		c, err := dev.Claim(ctx, f.Number)
		if err != nil {
			return nil, err
		}
		if takesAPDUs(ctx, dev, f, len(hid) == 1) {
			return checkSize(c)
		}
		if err := c.Close(); err != nil {
			return nil, err
		}
	}
	return nil, noAPDUs(info)
}

// takesAPDUs tells by the usage page whether a claimed interface takes APDUs. The only HID interface of a known model
// always does.
func takesAPDUs(ctx context.Context, dev *usb.Device, f usb.Interface, only bool) bool {
	if f.UsagePage == hidUsagePage || only && knownModel(dev.Info().Product) != "" {
		return true
	}
	page := usagePage(ctx, dev, f.Number)
	return page == hidUsagePage || only && page == 0
}

func checkSize(c *usb.Channel) (*usb.Channel, error) {
	if n := c.MaxPacket(); n != ReportSize {
		return nil, errors.Join(fmt.Errorf("the Ledger's reports have %d bytes, not %d", n, ReportSize), c.Close())
	}
	return c, nil
}

// The request for a HID report descriptor: GET_DESCRIPTOR, standard, of an interface.
const (
	getInterfaceDescriptor = 0x81
	getDescriptor          = 0x06
	reportDescriptor       = 0x2200
	maxReportDescriptor    = 512
)

// usagePage asks a claimed interface for its usage page; 0: no answer.
func usagePage(ctx context.Context, dev *usb.Device, number int) uint16 {
	b := make([]byte, maxReportDescriptor)
	//nolint:gosec // an interface number
	n, err := dev.Control(ctx, getInterfaceDescriptor, getDescriptor, reportDescriptor, uint16(number), b)
	if err != nil {
		return 0
	}
	page, _ := usb.FirstUsage(b[:n])
	return page
}

// usbReports is a claimed interface as a stream of reports.
type usbReports struct {
	dev     *usb.Device
	channel *usb.Channel
	life    context.Context //nolint:containedctx // a stream's Read and Write have no context; it ends with Close
	cancel  context.CancelFunc
}

func (r *usbReports) Read(p []byte) (int, error)  { return r.channel.Read(r.life, p) }
func (r *usbReports) Write(p []byte) (int, error) { return r.channel.Write(r.life, p) }

// Close ends reading and writing, and closes the device.
func (r *usbReports) Close() error {
	r.cancel()
	return r.dev.Close()
}

// usbTransport is a HID transport that the driver can reject.
type usbTransport struct {
	Transport
	dialer *usbDialer
	info   usb.Info
}

// Model is the model of the product id.
func (t *usbTransport) Model() string { return "Ledger " + usbModel(t.info.Product) }

// Reject marks the device as foreign, for all later attempts until the device is unplugged.
func (t *usbTransport) Reject(why error) {
	t.dialer.mu.Lock()
	defer t.dialer.mu.Unlock()
	t.dialer.rejected[t.info.ID] = why
}

// Alone tells whether no other Ledger is a candidate.
func (t *usbTransport) Alone() bool {
	found, err := t.dialer.bus.Find(IsUSB)
	if err != nil {
		return true
	}
	return !slices.ContainsFunc(t.dialer.candidates(found), func(i usb.Info) bool { return i.ID != t.info.ID })
}

// USBLabel names a connected Ledger for people.
func USBLabel(i usb.Info) string {
	return strings.TrimSpace("Ledger " + usbModel(i.Product))
}
