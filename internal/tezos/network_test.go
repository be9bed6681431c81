package tezos

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestParseNetwork: a name is as good as the id where the id is known; another name is told from a mistyped id.
func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"mainnet": "NetXdQprcVkpaWU", "Mainnet": "NetXdQprcVkpaWU", "ghostnet": "NetXnHfVqm9iesp",
		"shadownet": "NetXsqzbfFenSTS", "seoulnet": "NetXd56aBs1aeW3", "tallinnnet": "NetXe8DbhW9A1eS",
		"Ushuaianet":      "NetXpX8WSZkAZZA",
		"NetXdQprcVkpaWU": "NetXdQprcVkpaWU", "NetXnHfVqm9iesp": "NetXnHfVqm9iesp",
	} {
		id, err := ParseNetwork(text)
		require.NoError(t, err, text)
		require.Equal(t, want, id.String(), text)
	}
	for _, text := range []string{"weeklynet", "", "main", "netXdQprcVkpaWU"} {
		_, err := ParseNetwork(text)
		require.ErrorContains(t, err, "is no chain id, and no network with a chain id known here: "+
			"ghostnet (NetXnHfVqm9iesp), mainnet (NetXdQprcVkpaWU), seoulnet (NetXd56aBs1aeW3), shadownet (NetXsqzbfFenSTS)",
			text)
		require.NotContains(t, err.Error(), "checksum")
	}
	_, err := ParseNetwork("NetXdQprcVkpaWV")
	require.ErrorContains(t, err, "checksum")
}

// TestNetworksBeginWithTheirFirstBlock makes the ids anew from the first blocks in octez-node's configurations.
func TestNetworksBeginWithTheirFirstBlock(t *testing.T) {
	for name, genesis := range map[string]string{
		"mainnet":    "BLockGenesisGenesisGenesisGenesisGenesisf79b5d1CoW2",
		"ghostnet":   "BLockGenesisGenesisGenesisGenesisGenesis1db77eJNeJ9",
		"shadownet":  "BMJTFWBgqGUzsvW4JLS1XuCYnpH18pBsLb5UvPCv2eiNC5vUeps",
		"seoulnet":   "BLQGRyv3v92oE9iM4BGWwWpy6NxcDFPb7NLsNeuRVr3TYidU7MC",
		"tallinnnet": "BMQuJ7YgLaLUiyiSWmGma5LwkEFBAmksDFmocyEUe59yVav7wfC",
	} {
		block, err := ParseHash32(genesis)
		require.NoError(t, err)
		id := Digest(block[:])
		require.Equal(t, ChainID(id[:4]), networks[name], name)
	}
}
