package signer

import (
	"context"

	"highwater/internal/tezos"
	"highwater/signer/keyring"
)

// Prover is a device that can prove the possession of its tz4 keys.
type Prover interface {
	Prove(ctx context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error)
}

// Prove gives a verified proof of possession of a tz4 key. A proof is no signature of anything else that a chain
// knows, and moves no mark.
func (s *Signer) Prove(ctx context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error) {
	k, err := s.ring.Find(pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	for _, d := range k.Candidates(s.devices) {
		p, ok := d.(Prover)
		if !ok || !keyring.Holds(d, pkh) {
			continue
		}
		proof, err := p.Prove(ctx, pkh)
		if err != nil {
			return tezos.Signature{}, err
		}
		if err := k.Public().VerifyPossession(proof); err != nil {
			return tezos.Signature{}, &WrongSignatureError{PKH: pkh, Device: d.Name(), Err: err}
		}
		return proof, nil
	}
	return tezos.Signature{}, &Denial{Reason: WrongKind, Text: "no connected device can prove the possession of " + pkh.String()}
}
