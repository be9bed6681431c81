package ledger

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/usb"
)

func TestIsUSB(t *testing.T) {
	for product, model := range map[uint16]string{
		0x1011: "Nano S", 0x4015: "Nano X", 0x5011: "Nano S Plus", 0x5000: "Nano S Plus", 0x6011: "Stax", 0x7011: "Flex",
		0x0001: "Nano S", 0x0004: "Nano X", 0x0005: "Nano S Plus", 0x0006: "Stax", 0x0007: "Flex",
		0x8011: "Nano Gen5", 0x8000: "Nano Gen5", 0x0008: "Nano Gen5",
	} {
		require.True(t, IsUSB(VendorID, product), "%04x", product)
		require.Equal(t, model, usbModel(product))
		require.False(t, IsUSB(0x9997, product))
	}
	for _, product := range []uint16{0, 2, 3, 9, 0x0011, 0x2011, 0x3011, 0x9011, 0xffff} { // the vendor's next models
		require.True(t, IsUSB(VendorID, product), "%04x", product)
		require.Empty(t, knownModel(product))
		require.Equal(t, fmt.Sprintf("Ledger of an unknown model (product id %04x)", product),
			USBLabel(usb.Info{Product: product}))
	}
}

// TestUdevRuleNamesNoModel: the rule lets the group at every product of the vendor, the next one too.
func TestUdevRuleNamesNoModel(t *testing.T) {
	rules, err := os.ReadFile("../deploy/udev/70-highwater-ledger.rules")
	require.NoError(t, err)
	count := 0
	for line := range strings.SplitSeq(string(rules), "\n") {
		if strings.Contains(line, "GROUP=") {
			count++
			require.Contains(t, line, fmt.Sprintf(`{idVendor}=="%04x"`, VendorID))
			require.NotContains(t, line, "idProduct")
		}
	}
	require.Equal(t, 2, count, "usb and hidraw")
}

func ports(infos []usb.Info) (out []string) {
	for _, i := range infos {
		out = append(out, i.Port)
	}
	return out
}

func TestUSBCandidates(t *testing.T) {
	found := []usb.Info{
		{ID: usb.ID{Bus: 1, Address: 4}, Port: "1-1"}, {
			ID:   usb.ID{Bus: 1, Address: 5},
			Port: "1-2",
		}, {ID: usb.ID{Bus: 1, Address: 6}, Port: "1-3"},
	}
	d := &usbDialer{bus: usb.NewBus(nil), rejected: map[usb.ID]error{}}
	require.Equal(t, []string{"1-1", "1-2", "1-3"}, ports(d.candidates(found)))
	d.last = "1-1"
	require.Equal(t, []string{"1-2", "1-3", "1-1"}, ports(d.candidates(found)), "each gets its turn")
	d.last = "1-3"
	require.Equal(t, []string{"1-1", "1-2", "1-3"}, ports(d.candidates(found)))

	(&usbTransport{dialer: d, info: found[1]}).Reject(errors.New("another one"))
	require.Equal(t, []string{"1-1", "1-3"}, ports(d.candidates(found)))
	found[1].Address = 7
	require.Len(t, d.candidates(found), 3, "plugged in anew, it may be another device")

	for _, i := range found {
		d.rejected[i.ID] = errors.New("another one")
	}
	require.Empty(t, d.candidates(found))
	var de *device.Error
	require.ErrorAs(t, d.none(found), &de)
	require.Equal(t, device.Absent, de.Health)
	require.Equal(t, adviceOtherID, de.Hint)
}

func TestUSBError(t *testing.T) {
	health := func(err error) device.Health {
		var de *device.Error
		require.ErrorAs(t, usbError(err), &de)
		require.ErrorIs(t, de, err)
		return de.Health
	}
	require.Equal(t, device.Absent, health(usb.ErrGone))
	require.Equal(t, device.Busy, health(usb.ErrInUse))
	require.Equal(t, device.Broken, health(usb.ErrNoUSB))
	require.Equal(t, device.Absent, health(&usb.AccessError{Hint: "install the rule"}))
	var de *device.Error
	require.ErrorAs(t, usbError(&usb.AccessError{Hint: "install the rule"}), &de)
	require.Equal(t, "install the rule", de.Hint)
	known := &device.Error{Health: device.Busy, Hint: "look"}
	require.Equal(t, error(known), usbError(known))
}

// TestUnusable: a Ledger without an interface for APDUs is named, with the next act.
func TestUnusable(t *testing.T) {
	hid := func(page uint16, endpoints int) usb.Interface {
		return usb.Interface{Class: usb.ClassHID, Endpoints: endpoints, UsagePage: page}
	}
	for name, c := range map[string]struct {
		has []usb.Interface
		ok  bool
	}{
		"the app's":                   {[]usb.Interface{hid(hidUsagePage, 2)}, true},
		"FIDO, and the app's":         {[]usb.Interface{hid(0xf1d0, 2), hid(hidUsagePage, 2)}, true},
		"claimed: the page is hidden": {[]usb.Interface{hid(0, 2)}, true},
		"FIDO alone":                  {[]usb.Interface{hid(0xf1d0, 2)}, false},
		"a keyboard":                  {[]usb.Interface{hid(1, 1)}, false},
		"no way to the device":        {[]usb.Interface{hid(hidUsagePage, 1)}, false},
		"WebUSB and a card reader":    {[]usb.Interface{{Class: usb.ClassVendor, Endpoints: 2}, {Class: 0x0b, Endpoints: 3}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			i := usb.Info{Vendor: VendorID, Product: 0x9004, Port: "1-2", Interfaces: c.has}
			err := Unusable(i)
			if c.ok {
				require.NoError(t, err)
				return
			}
			require.EqualError(t, err, "the Ledger of an unknown model (product id 9004) at usb 1-2 has no interface "+
				"for the Baking app (APDUs)")
			require.ErrorIs(t, err, usb.ErrGone, "another Ledger may serve")
			var de *device.Error
			require.ErrorAs(t, usbError(err), &de)
			require.Equal(t, adviceNoAPDUs, de.Hint)
		})
	}
}
