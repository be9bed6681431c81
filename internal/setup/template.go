package setup

import (
	"fmt"
	"strings"

	"highwater/internal/config"
	"highwater/internal/daemon"
)

const template = `# Highwater. Every setting is explained in docs/configuration.md; an unknown setting is an error.

state_dir = %q
chain     = %q       # requests for a foreign chain are refused
# node    = "http://127.0.0.1:8732"   # your octez node, for failover and the guard

[server]
listen = "127.0.0.1:6732"             # or "unix:/run/highwater/signer.sock"
# authorized_keys  = ["edpk…"]        # public keys of permitted clients; none: no authentication
# known_keys       = false            # answer /known_keys
# prove_possession = false            # answer /bls_prove_possession
# budget           = "3s"             # the time of a request, faults of devices included

[audit]
# max_size = "2GiB"                   # of the log of all decisions; "0": no log

[monitor]
# listen = "127.0.0.1:6733"           # health, metrics, status page

# The devices, each pinned. A Ledger by its four words (highwater ledger list), a TezSign by its serial.
%s# Without a [[key]]: every key of the devices, for all kinds.
# [[key]]
# pkh    = "tz1…"
# alias  = "consensus"
# device = ["left"]                   # in order of preference
# allow  = ["block", "preattestation", "attestation"]
`

// deviceBlocks is the device part of a new configuration: the connected devices, or an example without devices.
func deviceBlocks(found []daemon.Connected) string {
	if len(found) == 0 {
		return exampleDevice
	}
	var out strings.Builder
	for i, c := range found {
		fmt.Fprintf(&out, "# %s\n[[device]]\nname      = \"%s%d\"\nkind      = %q\ntransport = \"usb\"\n", c, c.Kind, i+1,
			c.Kind)
		if c.Kind == config.KindTezSign {
			fmt.Fprintf(&out, "serial    = %q\n", c.Finding.SerialNum)
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
