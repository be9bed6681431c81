package api_test

import (
	"context"

	"highwater/api"
	"highwater/internal/tezos"
	"highwater/signer"
)

// nobody is a signer that knows no key.
type nobody struct{}

var _ api.Signing = nobody{}

func unknown(pkh tezos.PublicKeyHash) error {
	return &signer.Denial{Reason: signer.UnknownKey, Text: "no key " + pkh.String()}
}

func (nobody) Sign(_ context.Context, pkh tezos.PublicKeyHash, _ []byte) (tezos.Signature, error) {
	return tezos.Signature{}, unknown(pkh)
}

func (nobody) PublicKey(pkh tezos.PublicKeyHash) (*tezos.PublicKey, error) { return nil, unknown(pkh) }

func (nobody) Prove(_ context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error) {
	return tezos.Signature{}, unknown(pkh)
}

func (nobody) Keys() []signer.KeyInfo { return nil }
