package signer

import (
	"bytes"
	"context"
	"fmt"

	"highwater/internal/tezos"
	"highwater/signer/keyring"
	"highwater/signer/outcome"
)

// admit takes a request in, first of its chain, key and kind, or refuses: an unknown key, odd bytes, another chain, a
// kind that the key may not sign, a role that does not sign. The caller gives the pass and the lock back.
func (s *Signer) admit(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte, out *outcome.Record) (*request, error) {
	key, err := s.ring.Find(pkh)
	if err != nil {
		return nil, err
	}
	asked, err := tezos.Decode(pkh.Curve, payload)
	if err != nil {
		return nil, err
	}
	out.Decoded(asked)
	if err = s.allow(key, asked); err != nil {
		return nil, err
	}
	pass, err := s.gate.Enter(s.store.Role)
	if err != nil {
		return nil, err
	}
	lock, err := key.Lock(ctx, asked.Kind, out)
	if err != nil {
		pass.Leave()
		return nil, err
	}
	return &request{
		Request: asked, key: key, mark: key.Mark(s.chain, asked.Kind), payload: bytes.Clone(payload), pass: pass, lock: lock,
		out: out,
	}, nil
}

// allow checks chain and kind, which the operator decides.
func (s *Signer) allow(key *keyring.Key, req tezos.Request) error {
	if req.Chain != s.chain {
		return &Denial{
			Reason: WrongChain, Text: fmt.Sprintf("the request is for chain %s; "+
				"only requests for chain %s are signed", req.Chain, s.chain),
			Hint: "run a second highwater, with its own state directory, for the second chain",
		}
	}
	if !key.Allows(req.Kind) {
		return &Denial{
			Reason: WrongKind, Text: fmt.Sprintf("%s may not sign a %s", key.PKH, req.Kind),
			Hint: "see `allow` of the key in the configuration",
		}
	}
	return nil
}
