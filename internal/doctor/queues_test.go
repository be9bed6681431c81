package doctor

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/config"
	"highwater/operate"
)

// TestManyKeysOnOneLedger: the operator is told the wait of the last key, and when the wait is longer than the budget.
func TestManyKeysOnOneLedger(t *testing.T) {
	for _, c := range []struct {
		keys int
		kind string
		says string
	}{
		{1, config.KindLedger, ""},
		{3, config.KindLedger, ""},
		{4, config.KindLedger, "4 keys share a Ledger, and a Ledger signs in turn (0.2 s to 0.9 s each): the last key " +
			"waits 0.8 s to 3.6 s, and the budget of a request is 3s"},
		{64, config.KindLedger, "waits 12.8 s to 57.6 s, and the budget of a request is 3s: requests will fail at every " +
			"level"},
		{64, config.KindTezSign, ""},
	} {
		cfg := &config.Config{Devices: []config.Device{{Name: "left", Kind: c.kind, Transport: config.TransportUSB}}}
		cfg.Server.Budget = config.Duration(3 * time.Second)
		var st operate.Status
		for range c.keys {
			st.Keys = append(st.Keys, operate.KeyRow{Device: "left"})
		}
		lines := checkQueues(cfg, st)
		require.Contains(t, fmt.Sprint(lines), c.says)
		require.Equal(t, c.says != "", len(lines) == 1)
	}
}
