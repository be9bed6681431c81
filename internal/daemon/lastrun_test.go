package daemon

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/operate"
	"highwater/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The log says how the last run ended, and from which level each key signs again.
func TestSayLastRun(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123).UTC()
	chain := tezos.ChainID{1, 2, 3, 4}
	cut, exact := tezos.PublicKeyHash{Hash: [20]byte{1}}, tezos.PublicKeyHash{Hash: [20]byte{2}}
	rows := []hwm.Row{
		{Key: hwm.Key{Chain: chain, PKH: cut, Kind: tezos.Block}, Mark: hwm.Floor(12, at, hwm.SourceHorizon)},
		{Key: hwm.Key{Chain: chain, PKH: cut, Kind: tezos.Attestation}, Mark: hwm.Floor(13, at, hwm.SourceHorizon)},
		{
			Key:  hwm.Key{Chain: chain, PKH: exact, Kind: tezos.Block},
			Mark: hwm.Mark{Position: hwm.Position{Level: 20, Round: 1}},
		},
	}
	last := lastRun(store.Ending{
		How: store.EndedCut, Why: "the machine was restarted since",
		Floors: map[hwm.CeilingKey]int32{{Chain: chain, PKH: cut}: 13},
	})
	require.Equal(t, []operate.HorizonFloor{{Chain: chain, PKH: cut, Level: 13}}, last.Floors)
	var out bytes.Buffer
	sayLastRun(slog.New(slog.NewJSONHandler(&out, nil)), last, rows)
	type line struct {
		Msg, PKH, Ended, Text string
		From                  int64 `json:"from_level"`
		Horizon               bool
	}
	var lines []line
	for text := range strings.Lines(out.String()) {
		var l line
		require.NoError(t, json.Unmarshal([]byte(text), &l))
		lines = append(lines, l)
	}
	require.Equal(t, []line{
		{
			Msg: "last run", Ended: "cut",
			Text: "did not end in order: of 1 key the levels up to the horizon are not signed (the machine was restarted since)",
		},
		{Msg: "signs again", PKH: cut.String(), From: 14, Horizon: true},
		{Msg: "signs again", PKH: exact.String(), From: 20},
	}, lines)
	for how, says := range map[string]string{
		store.EndedClean:  "ended in order: nothing was lost",
		store.EndedKilled: "was killed: nothing was lost",
		store.EndedNew:    "no earlier run is known",
		store.EndedCut:    "did not end in order: nothing was lost",
	} {
		require.Equal(t, says, operate.LastRun{Ended: how}.Line())
	}
}
