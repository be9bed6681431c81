package heard

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAPulse: the beat that comes first after a standstill does not hide it, only a question does.
func TestAPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Pulse
		const limit = 3 * time.Second
		beat := func() bool { return p.Look(time.Now(), limit, true) }
		require.False(t, beat())
		for range 100 {
			<-time.After(limit)
			require.False(t, beat())
		}
		<-time.After(limit + 1)
		require.True(t, p.Look(time.Now(), limit, false))
		for range 3 {
			require.True(t, beat())
		}
		p.Asked()
		require.False(t, beat())
		<-time.After(limit + 1)
		require.True(t, beat(), "the beat that comes first")
		require.True(t, p.Look(time.Now(), limit, false))
	})
}
