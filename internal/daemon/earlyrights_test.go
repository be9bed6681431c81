package daemon

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/history"
	"highwater/internal/rights"
	"highwater/internal/tezos"
)

// TestWhoseFaultAMissedRightIs: nobody asked, a refusal with its reason, a late request, or the node.
func TestWhoseFaultAMissedRightIs(t *testing.T) {
	block := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	p := rights.Past{Right: rights.Right{Kind: tezos.Attestation, Level: 7, At: block}, Outcome: rights.Missed}
	at := block.Add
	for _, c := range []struct {
		square history.Square
		want   string
	}{
		{history.Square{}, "nobody asked for it"},
		{history.Square{State: history.Failed, Reason: "device_absent", At: at(time.Second)}, "the request ended as failed (device_absent)"},
		{history.Square{State: history.Signed, At: at(5 * time.Second), TookUS: 400_000}, "the baker asked 4.6s after the block"},
		{
			history.Square{State: history.Signed, At: at(2 * time.Second), TookUS: 400_000},
			"signed within 400 ms, and not included: the node or its network",
		},
	} {
		require.Equal(t, c.want, faultOf(p, c.square))
	}
}
