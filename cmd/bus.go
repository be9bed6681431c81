package cmd

import (
	"fmt"
	"slices"
	"strings"

	"highwater/internal/config"
	"highwater/internal/hints"
	"highwater/internal/usb"
	"highwater/ledger"
	"highwater/tezsign"
)

// connected is a device on this machine's USB buses that could be ours, configured or not.
type connected struct {
	kind    string
	finding usb.Finding
}

// lookAtBuses lists what is connected. It opens nothing.
func lookAtBuses() ([]connected, error) {
	var out []connected
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
				return nil, hints.Add(f.Err, f.Hint) // nothing can be seen: there is no bus
			}
			out = append(out, connected{k.kind, f})
		}
	}
	return out, nil
}

func (c connected) String() string {
	text := fmt.Sprintf("%s %04x:%04x at %s", c.kind, c.finding.Vendor, c.finding.Product, c.finding.Where())
	if c.kind == config.KindLedger {
		text += ", " + ledger.USBLabel(c.finding.Info)
	}
	if c.kind == config.KindTezSign && c.finding.SerialNum != "" {
		text += ", serial " + c.finding.SerialNum
	}
	if len(c.finding.Holders) > 0 {
		text += ", in use by " + strings.Join(c.finding.Holders, ", ")
	}
	return text
}

// deviceBlocks is the part of a new configuration that names the connected devices; an example when there are none.
func deviceBlocks(found []connected) string {
	if len(found) == 0 {
		return exampleDevice
	}
	var out strings.Builder
	for i, c := range found {
		fmt.Fprintf(&out, "# %s\n[[device]]\nname      = \"%s%d\"\nkind      = %q\ntransport = \"usb\"\n", c, c.kind, i+1, c.kind)
		if c.kind == config.KindTezSign {
			fmt.Fprintf(&out, "serial    = %q\n", c.finding.SerialNum)
		} else {
			out.WriteString("# id      = \"four-words-like-this\"  # see: highwater ledger list\n")
		}
		out.WriteString("\n")
	}
	return out.String()
}

const exampleDevice = `[[device]]
name      = "left"
kind      = "ledger"                  # or "tezsign"
# id      = "four-words-like-this"
transport = "usb"

`

// checkBuses is a line for each device that is connected, and whether it could be opened. A machine without a bus is fine for a
// configuration without USB devices.
func checkBuses(cfg *config.Config) []finding {
	found, err := lookAtBuses()
	wanted := slices.ContainsFunc(cfg.Devices, func(d config.Device) bool { return d.Transport == config.TransportUSB })
	switch {
	case err != nil && wanted:
		return []finding{bad("usb", err)}
	case err != nil:
		return []finding{good("usb", "no USB bus here, and none is configured")}
	}
	if len(found) == 0 {
		return []finding{good("usb", "no Ledger and no TezSign is connected")}
	}
	out := make([]finding, 0, len(found))
	for _, c := range found {
		f := good("usb", "%s", c)
		if c.finding.Err != nil {
			f.Result, f.Detail, f.Hint = resultBad, c.finding.Err.Error(), c.finding.Hint
		}
		out = append(out, f)
	}
	return out
}
