package signer

import (
	"context"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer/keyring"
	"highwater/signer/outcome"
)

// register signs an operation by which a key registers as a baker: a reveal, or a delegation to itself. The operation
// has no place in the chain and no mark. Only allowed keys register, and only on standby: a reveal resets the round
// of a Ledger's own mark.
func (s *Signer) register(ctx context.Context, pkh tezos.PublicKeyHash, payload []byte, out *outcome.Record) (tezos.Signature, error) {
	key, err := s.ring.Find(pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	reg, err := tezos.DecodeRegistration(key.Public(), payload)
	if err != nil && !key.Policy.Reveal && !key.Policy.Delegation {
		return tezos.Signature{}, noOperations(key)
	}
	if err != nil {
		return tezos.Signature{}, err
	}
	if reg.Reveal && !key.Policy.Reveal || reg.Delegation && !key.Policy.Delegation {
		return tezos.Signature{}, mayNotRegister(key)
	}
	if err = s.onStandby(); err != nil {
		return tezos.Signature{}, err
	}
	turn, err := s.turn(ctx, key, tezos.Attestation)
	if err != nil {
		return tezos.Signature{}, err
	}
	defer turn.end()
	s.roleMu.Lock() // the instance stays on standby until the device is done
	defer s.roleMu.Unlock()
	if err = s.onStandby(); err != nil { // the instance may have been activated while the request waited for the device
		return tezos.Signature{}, err
	}
	out.Registration()
	sig, err := turn.turn.Sign(ctx, key.PKH, payload) // an operator may have to confirm: not for longer than the request
	if err != nil {
		return tezos.Signature{}, err
	}
	if err := verify(key, turn, key.Public().Await(payload), sig); err != nil {
		return tezos.Signature{}, err
	}
	return sig, nil
}

func (s *Signer) onStandby() error {
	role := s.store.Role()
	if role.Role == hwm.Standby && !s.Active() {
		return nil
	}
	return &Denial{
		Reason: WrongKind, Text: "reveals and delegations are signed on standby only, and the instance is " +
			role.Role.String(),
		Hint: "highwater standby; register; highwater activate",
	}
}

// noOperations refuses an operation that no setting would let through.
func noOperations(key *keyring.Key) error {
	return &Denial{
		Reason: WrongKind, Text: "only blocks and attestations are signed " +
			"with " + key.PKH.String() + ", never transfers or further operations (0x03)",
		Hint: "send the operation with the key's own wallet, or from an account of a key without baking",
	}
}

func mayNotRegister(key *keyring.Key) error {
	return &Denial{
		Reason: WrongKind, Text: key.PKH.String() + " may not sign operations (0x03)",
		Hint: "to register the key as a baker: add \"reveal\" and \"delegation\" to `allow` of the key, while on " +
			"standby",
	}
}

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
	return tezos.Signature{}, &Denial{
		Reason: WrongKind,
		Text:   "no connected device can prove the possession of " + pkh.String(),
	}
}
