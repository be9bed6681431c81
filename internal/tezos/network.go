package tezos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Ghostnet is the chain id of the oldest long-lived test network.
var Ghostnet = ChainID{0xaf, 0x18, 0x64, 0xd9}

// networks are the names of chains with constant ids. Test networks that are made anew under one name are left out.
// An id is the beginning of the hash of the network's first block, which stands in octez-node's own configurations; for
// ushuaianet the id as its nodes tell it.
var networks = map[string]ChainID{
	"mainnet": Mainnet, "ghostnet": Ghostnet,
	"shadownet":  {0xd0, 0x52, 0x21, 0x8e},
	"seoulnet":   {0x77, 0xfe, 0x09, 0xb1},
	"tallinnnet": {0x7e, 0x4a, 0xec, 0x6d},
	"ushuaianet": {0xbc, 0x70, 0xc7, 0x84},
}

// NetworkName is the name of a network with a known chain id, else the chain id.
func NetworkName(id ChainID) string {
	for name, known := range networks {
		if known == id {
			return name
		}
	}
	return id.String()
}

// ParseNetwork reads a chain id Net…, or the name of a network with a known chain id. The error of another text lists
// the known names.
func ParseNetwork(text string) (ChainID, error) {
	if id, ok := networks[strings.ToLower(strings.TrimSpace(text))]; ok {
		return id, nil
	}
	if strings.HasPrefix(text, "Net") {
		return ParseChainID(text)
	}
	names := make([]string, 0, len(networks))
	for _, name := range slices.Sorted(maps.Keys(networks)) {
		names = append(names, fmt.Sprintf("%s (%s)", name, networks[name]))
	}
	return ChainID{}, fmt.Errorf("%.40q is no chain id, and no network with a chain id known here: %s; "+
		"the chain id of another network begins with NetX: octez-client rpc get /chains/main/chain_id",
		text, strings.Join(names, ", "))
}
