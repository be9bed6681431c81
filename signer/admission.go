package signer

import (
	"fmt"

	"highwater/internal/tezos"
)

// allow checks what is the operator's to decide: chain and kinds.
func (s *Signer) allow(key *ringKey, req tezos.Request) error {
	if req.Chain != s.chain {
		return &Denial{
			Reason: WrongChain, Text: fmt.Sprintf("the request is for chain %s; this signer is for %s only", req.Chain, s.chain),
			Hint: "one highwater, with a state directory of its own, for each chain",
		}
	}
	if !key.allows(req.Kind) {
		return &Denial{
			Reason: WrongKind, Text: fmt.Sprintf("%s may not sign a %s", key.pkh, req.Kind),
			Hint: "see `allow` of this key in the configuration",
		}
	}
	return nil
}
