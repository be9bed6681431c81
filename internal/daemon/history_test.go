package daemon

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/history"
	"highwater/internal/tezos"
	"highwater/signer"
)

// TestHistoryOfOutcomes: strangers and requests of no use leave nothing, and the others leave their state and times.
func TestHistoryOfOutcomes(t *testing.T) {
	h := history.New()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { h.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	level := int32(100)
	tell := func(decision, reason string) {
		level++
		tellHistory(h, signer.Outcome{
			Kind: tezos.Attestation, Level: level, Decision: decision, Reason: reason,
			Duration: 9 * time.Millisecond, DeviceFor: 7 * time.Millisecond, CommitFor: time.Millisecond,
		})
	}
	tellHistory(h, signer.Outcome{Level: 1, Decision: "refused", Reason: "bad_payload"})
	for _, reason := range []string{string(hwm.TooFar), signer.UnknownKey, signer.WrongChain} {
		tell("refused", reason)
	}
	tell("registered", "")
	tell("signed", "") // level 105
	tell("replayed", "")
	tell("refused", string(hwm.NotAbove))
	tell("refused", string(hwm.Conflict))
	tell("refused", signer.NotActive)
	tell("failed", "timeout")
	var squares []history.Square
	require.Eventually(t, func() bool {
		if all, _ := h.Read(nil, 0); len(all) == 1 {
			squares = all[0].Squares
		}
		return len(squares) == 6
	}, 10*time.Second, time.Millisecond)
	require.Equal(t, int32(105), squares[0].Level)
	require.Equal(t, [3]uint32{9000, 7000, 1000}, [3]uint32{squares[0].TookUS, squares[0].DeviceUS, squares[0].DiskUS})
	want := []history.State{
		history.Signed, history.Replayed, history.Refused, history.Conflict, history.Fenced, history.Failed,
	}
	for i, q := range squares {
		require.Equal(t, want[i], q.State, q.Level)
	}
	require.Equal(t, "timeout", squares[5].Reason)
}
