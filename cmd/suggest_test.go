package cmd

import (
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/stretchr/testify/require"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"status", "status", 0},
		{"stauts", "status", 1},
		{"statu", "status", 1},
		{"sttaus", "status", 1},
		{"authorised_keys", "authorized_keys", 1},
		{"lst", "list", 1},
		{"serve", "release", 5},
	} {
		require.Equal(t, c.want, distance(c.a, c.b), "%s, %s", c.a, c.b)
		require.Equal(t, c.want, distance(c.b, c.a), "%s, %s", c.b, c.a)
	}
}

func TestDidYouMean(t *testing.T) {
	names := []string{"status", "standby", "serve"}
	require.Equal(t, "; did you mean status?", didYouMean("stauts", names))
	require.Empty(t, didYouMean("frobnicate", names))
	require.Empty(t, didYouMean("x", names))
	require.Empty(t, didYouMean("status", nil))
}

func TestSettingNames(t *testing.T) {
	require.Contains(t, settingNames(toml.Key{"nod"}), "node")
	require.Contains(t, settingNames(toml.Key{"server", "lisen"}), "path_prefix")
	require.Contains(t, settingNames(toml.Key{"device", "pin"}), "serial")
	require.ElementsMatch(t, []string{"seed", "curves", "keys", "latency"}, settingNames(toml.Key{"device", "sim", "x"}))
	require.Empty(t, settingNames(toml.Key{"nothing", "x"}))
	require.Empty(t, settingNames(toml.Key{"chain", "x"}))
}
