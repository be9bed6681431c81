package api_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/api"
	"highwater/operate"
)

// slowToTell is an instance with so many keys that its page takes a while.
type slowToTell struct{ changing }

func (s *slowToTell) Status(ctx context.Context) (operate.Status, error) {
	<-time.After(40 * time.Millisecond)
	return s.changing.Status(ctx)
}

// TestALargePageIsMadeLessOften: open pages of an instance with many keys take a hundredth of a processor at most.
func TestALargePageIsMadeLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := &slowToTell{}
		look := api.PageLooks(of)
		begin := time.Now()
		for time.Since(begin) < time.Minute {
			require.NoError(t, look(t.Context()))
			<-time.After(time.Second)
		}
		require.LessOrEqual(t, of.looks.Load(), int32(16), "a look of 40 ms each 4 s")
		require.GreaterOrEqual(t, of.looks.Load(), int32(10))
	})
}
