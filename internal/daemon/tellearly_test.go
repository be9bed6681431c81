package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/early"
	"highwater/signer"
)

// TestEarlyHearsOfOutcomes: signatures count by their device, and requests without time by their level. Refusals and
// replays count nowhere.
func TestEarlyHearsOfOutcomes(t *testing.T) {
	for _, c := range []struct {
		outcome signer.Outcome
		want    []early.Name
	}{
		{signer.Outcome{Decision: "signed", Device: "left", Duration: 3 * time.Second}, []early.Name{early.SlowSignatures}},
		{signer.Outcome{Decision: "replayed", Device: "left", Duration: 3 * time.Second}, nil},
		{signer.Outcome{Decision: "failed", Reason: "timeout"}, []early.Name{early.TimeUsedUp}},
		{signer.Outcome{Decision: "failed", Reason: signer.SlowDisk}, []early.Name{early.TimeUsedUp}},
		{signer.Outcome{Decision: "refused", Reason: signer.NotActive}, nil},
	} {
		t.Run(fmt.Sprint(c.outcome.Decision, c.outcome.Reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := early.New(early.Defaults, slog.New(slog.DiscardHandler))
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { w.Run(ctx, early.Sources{}, func(early.Warning, bool) {}); close(ended) }()
				for n := range 50 {
					c.outcome.Level = int32(n / 10) // 5 levels
					tellEarly(w, c.outcome)
				}
				<-time.After(time.Minute)
				var got []early.Name
				for _, s := range w.Standing() {
					got = append(got, s.Name)
				}
				stop()
				<-ended
				require.Equal(t, c.want, got)
			})
		})
	}
}
