package hints_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/hints"
)

// TestLevel: an advised command works as it stands, with a node and without.
func TestLevel(t *testing.T) {
	const command = "highwater activate --level"
	t.Cleanup(func() { hints.HasNode(false) })
	hints.HasNode(true)
	require.Equal(t, "highwater activate --level head+10", hints.Level(command, 8_000_000))
	require.Equal(t, "highwater activate --level head+10", hints.Level(command, 0))
	hints.HasNode(false)
	require.Equal(t, "highwater activate --level 8000010", hints.Level(command, 8_000_000))
	require.Equal(t, "set `node` in the configuration, and run: highwater activate --level head+10",
		hints.Level(command, 0))
}
