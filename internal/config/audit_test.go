package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuditSettings(t *testing.T) {
	c := mustParse(t, "state_dir = \"/var/x\"\n"+minimal)
	require.Equal(t, int64(2<<30), c.Audit.Bytes())
	require.Equal(t, "/var/x/audit", c.AuditDir())
	for text, want := range map[string]int64{"16MiB": 16 << 20, "1.5 GiB": 3 << 29, "1TiB": 1 << 40, "0": 0, "20000000": 20_000_000} {
		c = mustParse(t, minimal+"[audit]\ndir = \"/srv/log\"\nmax_size = \""+text+"\"\n")
		require.Equal(t, want, c.Audit.Bytes(), text)
		require.Equal(t, "/srv/log", c.AuditDir())
	}
	for text, says := range map[string]string{
		"15MiB": "audit.max_size: 15728640 bytes", "2TiB": "audit.max_size", "-1GiB": "no size like", "much": "no size like",
		"NaN": "no size like", "Inf": "no size like",
	} {
		_, err := Parse(minimal + "[audit]\nmax_size = \"" + text + "\"\n")
		require.ErrorContains(t, err, says, text)
	}
}
