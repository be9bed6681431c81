package cmd

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/config"
	"highwater/internal/daemon"
	"highwater/internal/usb"
)

// TestDeviceBlocks: what is found on the bus becomes a configuration that is accepted.
func TestDeviceBlocks(t *testing.T) {
	found := []daemon.Connected{
		{Kind: config.KindLedger, Finding: usb.Finding{Info: usb.Info{Vendor: 0x2c97, Product: 0x5011, Port: "1-2"}}},
		{Kind: config.KindTezSign, Finding: usb.Finding{Info: usb.Info{Vendor: 0x9997, Product: 1, Port: "1-3", SerialNum: "0123456789ab"}, Err: errors.New("no"), Holders: []string{"octez-signer (pid 8)"}}},
	}
	for _, devices := range [][]daemon.Connected{nil, found} {
		cfg, err := config.Parse(fmt.Sprintf(configTemplate, "/var/lib/highwater", "NetXdQprcVkpaWU", deviceBlocks(devices)))
		require.NoError(t, err)
		require.Len(t, cfg.Devices, max(1, len(devices)))
		require.Equal(t, config.TransportUSB, cfg.Devices[0].Transport)
	}
	require.Equal(t, "ledger 2c97:5011 at usb 1-2, Ledger Nano S Plus", found[0].String())
	found[0].Finding.Product = 0x9011
	require.Equal(t, "ledger 2c97:9011 at usb 1-2, Ledger of an unknown model (product id 9011)", found[0].String())
	require.Equal(t, "tezsign 9997:0001 at usb 1-3, serial 0123456789ab, in use by octez-signer (pid 8)", found[1].String())
}
