package harness

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseMetrics(t *testing.T) {
	m, err := parseMetrics("# HELP a b\na{k=\"x y\"} 1\na{k=\"}\"} 2.5\n\nb 3e+06\n")
	require.NoError(t, err)
	require.Equal(t, Metrics{"a": 3.5, "b": 3e6}, m)
	require.Equal(t, Metrics{"a": 0.5, "b": 0}, m.Since(Metrics{"a": 3, "b": 3e6}))
	for _, bad := range []string{"a", "a b"} {
		_, err := parseMetrics(bad)
		require.Error(t, err, bad)
	}
}
