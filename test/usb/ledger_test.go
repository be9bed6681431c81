//go:build usblab

package usb_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

const oneLedger = `
[[device]]
name = "nano"
kind = "ledger"
transport = "usb"
`

func startLedger(t *testing.T, args ...string) *emulated {
	t.Helper()
	return start(t, "ledger", append([]string{"-chain", chain.String()}, args...)...)
}

func TestLedgerSigns(t *testing.T) {
	d := startLedger(t, "-seed", "one")
	d.plug()
	s := prepare(t, oneLedger, nil)
	s.serve()
	s.health("nano", "ready")
	key := s.keys(1)[0]
	s.activate(1000)
	require.NoError(t, s.sign(key, 1001, 1))
	require.Error(t, s.sign(key, 1001, 2))
	require.NoError(t, s.sign(key, 1002, 1))
	t.Log("stopped in", s.stop())
}
