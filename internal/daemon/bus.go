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

// families are the kinds of devices on a bus. unusable says why a device cannot be used with any permission.
var families = []struct {
	kind     string
	match    usb.Match
	unusable func(usb.Info) error
}{
	{config.KindLedger, ledger.IsUSB, ledger.Unusable}, {config.KindTezSign, tezsign.IsUSB, tezsign.Unusable},
}

// LookAtBuses lists the connected devices, and opens none of them.
func LookAtBuses() ([]Connected, error) {
	var out []Connected
	for _, k := range families {
		found, err := usb.Survey(k.match)
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			if f.Vendor == 0 {
				return nil, hints.Add(f.Err, f.Hint) // nothing can be seen: no bus
			}
			out = append(out, Connected{k.kind, judged(f, k.unusable)})
		}
	}
	return out, nil
}

// judged adds the fault of a device that cannot be used. A missing permission is told first.
func judged(f usb.Finding, unusable func(usb.Info) error) usb.Finding {
	if f.Err == nil {
		f.Err = unusable(f.Info)
		f.Hint = usb.HintText(f.Err)
	}
	return f
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
