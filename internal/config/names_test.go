package config

import (
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
)

func TestSettingNames(t *testing.T) {
	require.Contains(t, settingNames(toml.Key{"nod"}), "node")
	require.Contains(t, settingNames(toml.Key{"server", "lisen"}), "path_prefix")
	require.Contains(t, settingNames(toml.Key{"device", "pin"}), "serial")
	require.ElementsMatch(t, []string{"seed", "curves", "keys", "latency"}, settingNames(toml.Key{"device", "sim", "x"}))
	require.Empty(t, settingNames(toml.Key{"nothing", "x"}))
	require.Empty(t, settingNames(toml.Key{"chain", "x"}))
}
