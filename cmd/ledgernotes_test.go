package cmd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

// TestNotesAreShownEverywhere: what should be known of a device that is ready stands on each screen, with the command
// that helps.
func TestNotesAreShownEverywhere(t *testing.T) {
	w := newLedgerWorld(t, ledgersim.Setup{Curve: ledger.P256, Chain: tezos.ChainID{9, 9, 9, 9}})
	w.until(t, device.Ready)
	const note, command = "the device was set up for chain",
		"highwater ledger setup --device left --key P-256/0h/0h --hwm "
	for _, args := range [][]string{
		{"status"}, {"status", "--json"}, {"check"}, {"check", "--json"}, {"ledger", "list"}, {"ledger", "list", "--json"},
	} {
		_, out, errs := run(t, append([]string{"--config", w.config}, args...)...)
		require.Contains(t, out+errs, note, args)
		require.Contains(t, out+errs, command, args)
	}
	for _, path := range []string{"/", "/readyz", "/status"} {
		body := monitorPage(t, "http://"+w.daemon.Addresses["monitor"]+path)
		require.Contains(t, body, note, path)
		require.Contains(t, body, command, path)
	}
}

// TestVerbsKnowTheWrongApp: a question that nobody confirms is not waited for a minute, and what is wrong is said, not
// how a wait ended.
func TestVerbsKnowTheWrongApp(t *testing.T) {
	w := newLedgerWorld(t, ledgersim.Setup{Curve: ledger.Ed25519})
	w.until(t, device.Ready)
	w.sim.OpenOther("Tezos Wallet")
	w.until(t, device.WrongApp)
	for _, args := range [][]string{
		{"ledger", "version"},
		{"ledger", "hwm", "--timeout", "100ms"},
		{"ledger", "reset", "--level", "5", "--timeout", "100ms"},
	} {
		begin := time.Now()
		status, _, errs := run(t, append([]string{"--config", w.config}, args...)...)
		require.Equal(t, 1, status)
		require.Less(t, time.Since(begin), 30*time.Second)
		require.Contains(t, errs, "waiting for left (wrong_app)")
		require.Contains(t, errs, `left is wrong_app: the app "Tezos Wallet" is open`)
		require.Contains(t, errs, "hint: quit the open app and open the Tezos Baking app on the device")
		require.NotContains(t, errs, "context deadline")
		require.NotContains(t, errs, "POST")
	}
	_, out, errs := run(t, "--config", w.config, "ledger", "list", "--timeout", "100ms")
	require.Contains(t, out+errs, `the app "Tezos Wallet" is open`)
}
