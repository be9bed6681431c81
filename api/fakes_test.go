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

// waiting is a signer whose every answer waits for the end of its request, which it gives to who reads from requests.
type waiting struct {
	nobody
	key      *tezos.PublicKey
	requests chan context.Context
}

func (w waiting) wait(ctx context.Context) (tezos.Signature, error) {
	w.requests <- ctx
	<-ctx.Done()
	return tezos.Signature{}, ctx.Err()
}

func (w waiting) Sign(ctx context.Context, _ tezos.PublicKeyHash, _ []byte) (tezos.Signature, error) {
	return w.wait(ctx)
}

func (w waiting) Prove(ctx context.Context, _ tezos.PublicKeyHash) (tezos.Signature, error) {
	return w.wait(ctx)
}

func (w waiting) PublicKey(tezos.PublicKeyHash) (*tezos.PublicKey, error) { return w.key, nil }
