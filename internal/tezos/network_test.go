package tezos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestParseNetwork: a name is as good as the id where the id is known; another name is told from a mistyped id.
func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"mainnet": "NetXdQprcVkpaWU", "Mainnet": "NetXdQprcVkpaWU", "ghostnet": "NetXnHfVqm9iesp",
		"NetXdQprcVkpaWU": "NetXdQprcVkpaWU", "NetXnHfVqm9iesp": "NetXnHfVqm9iesp",
	} {
		id, err := ParseNetwork(text)
		require.NoError(t, err, text)
		require.Equal(t, want, id.String(), text)
	}
	for _, text := range []string{"shadownet", "", "main", "netXdQprcVkpaWU"} {
		_, err := ParseNetwork(text)
		require.ErrorContains(t, err, "is no chain id, and no network with a chain id known here: "+
			"ghostnet (NetXnHfVqm9iesp), mainnet (NetXdQprcVkpaWU)", text)
		require.NotContains(t, err.Error(), "checksum")
	}
	_, err := ParseNetwork("NetXdQprcVkpaWV")
	require.ErrorContains(t, err, "checksum")
}
