package daemon

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/config"
	"highwater/internal/usb"
	"highwater/ledger"
	"highwater/tezsign"
)

// TestDevicesThatCannotBeUsed: a connected device that cannot serve is told as such, after a missing permission.
func TestDevicesThatCannotBeUsed(t *testing.T) {
	bulk := func(number int) usb.Interface {
		return usb.Interface{Number: number, Class: usb.ClassVendor, Endpoints: 2}
	}
	app := usb.Interface{Class: usb.ClassHID, Endpoints: 2, UsagePage: 0xffa0}
	fido := usb.Interface{Class: usb.ClassHID, Endpoints: 2, UsagePage: 0xf1d0}
	for name, c := range map[string]struct {
		kind string
		has  []usb.Interface
		ok   bool
	}{
		"Ledger":                        {config.KindLedger, []usb.Interface{app}, true},
		"Ledger with FIDO alone":        {config.KindLedger, []usb.Interface{fido}, false},
		"TezSign":                       {config.KindTezSign, []usb.Interface{bulk(0), bulk(1)}, true},
		"TezSign of a later version":    {config.KindTezSign, []usb.Interface{bulk(0), bulk(1), bulk(2)}, true},
		"TezSign without a manager":     {config.KindTezSign, []usb.Interface{bulk(0)}, false},
		"TezSign's id, and a keyboard":  {config.KindTezSign, []usb.Interface{app, bulk(1)}, false},
		"TezSign with other interfaces": {config.KindTezSign, []usb.Interface{bulk(2), bulk(3)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := usb.Finding{Info: usb.Info{Vendor: 1, Port: "1-2", Interfaces: c.has}}
			for _, k := range families {
				if k.kind != c.kind {
					continue
				}
				got := judged(f, k.unusable)
				require.Equal(t, c.ok, got.Err == nil, "%v", got.Err)
				require.Equal(t, c.ok, got.Hint == "")
				f.Err, f.Hint = errors.New("no permission"), "install the rule"
				require.Equal(t, f, judged(f, k.unusable))
			}
		})
	}
	require.True(t, families[0].match(ledger.VendorID, 0xffff))
	require.True(t, families[1].match(tezsign.VendorID, tezsign.ProductID))
}
