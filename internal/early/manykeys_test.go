package early

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestManyKeysHideNoLevel: the requests of many keys at one level do not push earlier levels out of the memory.
func TestManyKeysHideNoLevel(t *testing.T) {
	w, now := New(Defaults, slog.New(slog.DiscardHandler)), time.Now()
	for level := range int32(Defaults.TimeUsedUp) {
		require.NotContains(t, states(w.timeUsedUp(now)), bad)
		for range 3 * maxTimed {
			w.keep(event{level: 1000 + level}, now)
		}
		now = now.Add(blockTime)
	}
	require.Equal(t, []state{bad}, states(w.timeUsedUp(now)))
	require.Empty(t, w.timeUsedUp(now.Add(usedUpSpan)))
}

func states(found []finding) (out []state) {
	for _, f := range found {
		out = append(out, f.state)
	}
	return out
}
