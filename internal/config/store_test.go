package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLevelsAheadInTheConfiguration(t *testing.T) {
	t.Setenv(runtimeEnv, "")
	c, err := Parse(minimal)
	require.NoError(t, err)
	require.Equal(t, int32(2), c.Store.Levels())
	c.Admin.Socket = "/run/there/admin.sock"
	require.Equal(t, "/run/there", c.RuntimeDir())
	t.Setenv(runtimeEnv, "/run/one:/run/two")
	require.Equal(t, "/run/one", c.RuntimeDir())
	c, err = Parse(minimal + "[store]\nahead = 0\nruntime_dir = \"run\"\n")
	require.NoError(t, err)
	c.resolve("/etc/highwater")
	require.Equal(t, "/etc/highwater/run", c.RuntimeDir())
	require.Zero(t, c.Store.Levels(), "a zero that was written is no default")
	for _, wrong := range []string{"-1", "101"} {
		_, err = Parse(minimal + "[store]\nahead = " + wrong + "\n")
		require.ErrorContains(t, err, "store.ahead: "+wrong)
	}
}
