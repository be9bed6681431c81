package daemon

import (
	"fmt"
	"strings"

	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/usb"
	"highwater/ledger"
	"highwater/tezsign"
)

// Connected is a device on the machine's USB buses: a possible signer, configured or not.
type Connected struct {
	Kind    string
	Finding usb.Finding
}

// LookAtBuses lists the connected devices, and opens none of them.
func LookAtBuses() ([]Connected, error) {
	var out []Connected
	for _, k := range []struct {
		kind  string
		match usb.Match
	}{{config.KindLedger, ledger.IsUSB}, {config.KindTezSign, tezsign.IsUSB}} {
		found, err := usb.Survey(k.match)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if f.Vendor == 0 {
				return nil, hints.Add(f.Err, f.Hint) // nothing can be seen: no bus
			}
			out = append(out, Connected{k.kind, f})
		}
	}
	return out, nil
}

// String is a device in one line: kind, place, and the programs with the device open.
func (c Connected) String() string {
	text := fmt.Sprintf("%s %04x:%04x at %s", c.Kind, c.Finding.Vendor, c.Finding.Product, c.Finding.Where())
	if c.Kind == config.KindLedger {
		text += ", " + ledger.USBLabel(c.Finding.Info)
	}
	if c.Kind == config.KindTezSign && c.Finding.SerialNum != "" {
		text += ", serial " + c.Finding.SerialNum
	}
	if len(c.Finding.Holders) > 0 {
		text += ", in use by " + strings.Join(c.Finding.Holders, ", ")
	}
	return text
}
