//go:build cgo

package ledger_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/ledger"
	"highwater/ledger/ledgersim"
)

func TestTZ4IsRefusedWithTheReason(t *testing.T) {
	sim := newSim(t, func(o *ledgersim.Options) { o.Version, o.Setup[0].Curve = ledgersim.V251, ledger.BLS12381 })
	d := start(t, sim.Dial)
	st := waitFor(t, d, device.Broken)
	require.Contains(t, st.Detail, "a Ledger cannot sign as tz4")
	require.Len(t, d.Keys(), 1)
	require.Empty(t, d.Keys()[0].Kinds)
	slotless := attestation(101)[:78]
	slotless[37] = 0x29
	_, err := sign(t, d, slotless)
	require.ErrorIs(t, err, device.ErrRefused)
	require.ErrorContains(t, err, "a Ledger cannot sign as tz4")
	_, err = d.Setup(t.Context(), ledger.Setup{Curve: ledger.BLS12381, Chain: ghost}, nil)
	require.ErrorContains(t, err, "a Ledger cannot sign as tz4")
}
