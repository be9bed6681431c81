package daemon

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheWatchdogFollowsTheProbe: each probe that comes back is told, and a probe that hangs is not.
func TestTheWatchdogFollowsTheProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		hang, probes := make(chan struct{}), 0
		var told atomic.Int32
		go watch(ctx, time.Minute, func() {
			if probes++; probes == 3 {
				<-hang
			}
		}, func() { told.Add(1) })
		time.Sleep(90 * time.Second) //nolint:forbidigo // the clock of synctest
		require.EqualValues(t, 2, told.Load())
		time.Sleep(time.Hour) //nolint:forbidigo // the clock of synctest
		require.EqualValues(t, 2, told.Load())
		close(hang)
		time.Sleep(90 * time.Second) //nolint:forbidigo // the clock of synctest
		require.Greater(t, told.Load(), int32(2))
		stop()
		synctest.Wait()
	})
}
