package setup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/terminal"
	"highwater/internal/usb"
)

// TestDeviceBlocks: what is found on the bus becomes a configuration that is accepted.
func TestDeviceBlocks(t *testing.T) {
	found := []daemon.Connected{
		{Kind: config.KindLedger, Finding: usb.Finding{Info: usb.Info{Vendor: 0x2c97, Product: 0x5011, Port: "1-2"}}},
		{Kind: config.KindTezSign, Finding: usb.Finding{
			Info: usb.Info{Vendor: 0x9997, Product: 1, Port: "1-3", SerialNum: "0123456789ab"}, Err: errors.New("no"),
			Holders: []string{"octez-signer (pid 8)"},
		}},
	}
	for _, devices := range [][]daemon.Connected{nil, found} {
		cfg, err := config.Parse(fmt.Sprintf(template, "/var/lib/highwater", "NetXdQprcVkpaWU", deviceBlocks(devices)))
		require.NoError(t, err)
		require.Len(t, cfg.Devices, max(1, len(devices)))
		require.Equal(t, config.TransportUSB, cfg.Devices[0].Transport)
	}
	require.Equal(t, "ledger 2c97:5011 at usb 1-2, Ledger Nano S Plus", found[0].String())
	found[0].Finding.Product = 0x9011
	require.Equal(t, "ledger 2c97:9011 at usb 1-2, Ledger of an unknown model (product id 9011)", found[0].String())
	require.Equal(t, "tezsign 9997:0001 at usb 1-3, serial 0123456789ab, in use by octez-signer (pid 8)",
		found[1].String())
}

// TestFoundDevices: a connected device that cannot be used is told with its fault, before the act that mends it.
func TestFoundDevices(t *testing.T) {
	var out, said bytes.Buffer
	sayFound(terminal.New(strings.NewReader(""), &out, &said), []daemon.Connected{
		{Kind: config.KindLedger, Finding: usb.Finding{Info: usb.Info{Vendor: 0x2c97, Product: 0x5011, Port: "1-2"}}},
		{Kind: config.KindLedger, Finding: usb.Finding{
			Info: usb.Info{Vendor: 0x2c97, Product: 0x4004, Port: "1-3"}, Err: errors.New("no interface"), Hint: "open the app",
		}},
	})
	require.Equal(t, "found ledger 2c97:5011 at usb 1-2, Ledger Nano S Plus\n"+
		"found ledger 2c97:4004 at usb 1-3, Ledger Nano X\n", out.String())
	require.Equal(t, "warning: no interface\nhint: open the app\n", said.String())
}

// TestExamplesAreConfigurations: the page's example, and the one that init writes.
func TestExamplesAreConfigurations(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	require.NoError(t, err)
	_, after, ok := strings.Cut(string(text), "```toml\n")
	require.True(t, ok)
	example, _, ok := strings.Cut(after, "```")
	require.True(t, ok)
	_, err = config.Parse(example)
	require.NoError(t, err)

	// What init writes is a configuration, and its commented settings are too once their comments are off.
	written := fmt.Sprintf(template, "/x", "NetXdQprcVkpaWU", deviceBlocks(nil))
	_, err = config.Parse(written)
	require.NoError(t, err)
	uncommented := regexp.MustCompile(`(?m)^# (\[\[key\]\]|[a-z_]+ *=)`).ReplaceAllString(written, "$1")
	require.NotEqual(t, written, uncommented)
	_, err = config.Parse(uncommented)
	for _, fault := range strings.Split(err.Error(), "\n") { // the placeholders alone are wrong
		require.True(t, strings.Contains(fault, "faults:") || strings.Contains(fault, "…"), fault)
	}
}
