package daemon

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheWatchdogFollowsTheProbe: each probe that comes back is told, and a probe that hangs is not.
func TestTheWatchdogFollowsTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		hang, told, probes := make(chan struct{}), 0, 0
		go watch(ctx, time.Minute, func() {
			if probes++; probes == 3 {
				<-hang
			}
		}, func() { told++ })
		time.Sleep(90 * time.Second) //nolint:forbidigo // the clock of synctest
		require.Equal(t, 2, told)
		time.Sleep(time.Hour) //nolint:forbidigo // the clock of synctest
		require.Equal(t, 2, told)
		close(hang)
		time.Sleep(90 * time.Second) //nolint:forbidigo // the clock of synctest
		require.Greater(t, told, 2)
		stop()
		synctest.Wait()
	})
}
