package node

import (
	"context"
	"fmt"
)

// protocolNames are the protocols whose layouts this program was tested with, by hash.
var protocolNames = map[string]string{
	"PtSeouLouXkxhg39oWzjxDWaCydNfR3RxCUrNe4Q9Ro8BTehcbh": "Seoul",
	"PtTALLiNtPec7mE7yY4m3k26J8Qukef3E3ehzhfXgFZKGtDdAXu": "Tallinn",
	"PsUshuai9QapM5TGj1JpuVGkdxz5GykdnEvS6Rh8SUVrARvZLCY": "Ushuaia",
}

// Protocol is an economic protocol of Tezos, by its hash.
type Protocol string

// Known is whether this program was tested with the protocol.
func (p Protocol) Known() bool { return protocolNames[string(p)] != "" }

// String is the protocol's name, or the beginning of an unknown protocol's hash, as Octez shortens a hash.
func (p Protocol) String() string {
	if name := protocolNames[string(p)]; name != "" {
		return name
	}
	return cut(fmt.Sprintf("%.12s", string(p)))
}

// Protocols are those of the head and of the block after the head. They differ at the last block before an upgrade.
type Protocols struct{ Current, Next Protocol }

// Protocols asks for the protocols of the head and of the block after the head.
func (c *Client) Protocols(ctx context.Context) (Protocols, error) {
	return ask(ctx, c, "/chains/main/blocks/head/protocols", nil, maxSmall, parseProtocols)
}

func parseProtocols(b []byte) (Protocols, error) {
	var v struct {
		Current string `json:"protocol"`
		Next    string `json:"next_protocol"`
	}
	if err := read(b, &v); err != nil {
		return Protocols{}, err
	}
	for _, hash := range []string{v.Current, v.Next} {
		if len(hash) != 51 || hash[0] != 'P' {
			return Protocols{}, fmt.Errorf("%.60q is no hash of a protocol", hash)
		}
	}
	return Protocols{Current: Protocol(v.Current), Next: Protocol(v.Next)}, nil
}
