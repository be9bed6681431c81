package signer

import (
	"context"
	"fmt"
	"slices"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// KeyInfo is a key as it is shown.
type KeyInfo struct {
	PKH       tezos.PublicKeyHash
	PublicKey *tezos.PublicKey // nil when no device offered it yet
	Alias     string
	Allow     []tezos.Kind
}

// DeviceInfo is a device as it is shown.
type DeviceInfo struct {
	Name   string
	Status device.Status
	Keys   []device.Key
}

// Keys lists the keys that may be asked for.
func (s *Signer) Keys() []KeyInfo {
	var out []KeyInfo
	for _, k := range s.ring.all() {
		out = append(out, KeyInfo{PKH: k.pkh, PublicKey: k.public(), Alias: k.name(), Allow: k.kinds()})
	}
	return out
}

// PublicKey gives a key that may be asked for. The error is a *Denial, or a *device.Error when no device offered it yet.
func (s *Signer) PublicKey(pkh tezos.PublicKeyHash) (*tezos.PublicKey, error) {
	k, err := s.ring.find(pkh)
	if err != nil {
		return nil, err
	}
	return k.public(), nil
}

// Devices lists the devices.
func (s *Signer) Devices() []DeviceInfo {
	out := make([]DeviceInfo, 0, len(s.devices))
	for _, d := range s.devices {
		out = append(out, s.describe(d))
	}
	return out
}

func (s *Signer) describe(d Device) DeviceInfo {
	return DeviceInfo{d.Name(), d.Status(), s.markStrange(d, d.Keys())}
}

// Prover is a device that can prove the possession of its tz4 keys.
type Prover interface {
	Prove(ctx context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error)
}

// Prove gives a verified proof of possession of a tz4 key. It is no signature of anything that a chain knows besides, and moves
// no mark.
func (s *Signer) Prove(ctx context.Context, pkh tezos.PublicKeyHash) (tezos.Signature, error) {
	k, err := s.ring.find(pkh)
	if err != nil {
		return tezos.Signature{}, err
	}
	for _, d := range s.candidates(k) {
		p, ok := d.(Prover)
		if !ok || !holds(d, pkh) {
			continue
		}
		proof, err := p.Prove(ctx, pkh)
		if err != nil {
			return tezos.Signature{}, err
		}
		if err := k.public().VerifyPossession(proof); err != nil {
			return tezos.Signature{}, &WrongSignatureError{PKH: pkh, Device: d.Name(), Err: err}
		}
		return proof, nil
	}
	return tezos.Signature{}, &Denial{Reason: WrongKind, Text: "no connected device can prove the possession of " + pkh.String()}
}

// Chain is the chain that is signed for.
func (s *Signer) Chain() tezos.ChainID { return s.chain }

// Active tells whether requests are let in now.
func (s *Signer) Active() bool {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	return s.gate.isOpen
}

// MissingMarks lists what the keys that are known here lack on our chain: a key without a mark does not sign.
func (s *Signer) MissingMarks() ([]hwm.Key, error) {
	var out []hwm.Key
	for _, k := range s.ring.all() {
		for _, kind := range k.kinds() {
			key := k.mark(s.chain, kind)
			st, err := s.store.State(key)
			if err != nil {
				return nil, err
			}
			if st.Mark == nil {
				out = append(out, key)
			}
		}
	}
	return out, nil
}

// Targets expands a choice of keys to marks on our chain: all known keys when pkhs is empty, all kinds that a key may sign when
// kinds is.
func (s *Signer) Targets(pkhs []tezos.PublicKeyHash, kinds []tezos.Kind) ([]hwm.Key, error) {
	var out []hwm.Key
	for _, k := range s.ring.all() {
		if len(pkhs) > 0 && !slices.Contains(pkhs, k.pkh) {
			continue
		}
		for _, kind := range tezos.Kinds {
			if len(kinds) > 0 && slices.Contains(kinds, kind) || len(kinds) == 0 && k.allows(kind) {
				out = append(out, k.mark(s.chain, kind))
			}
		}
	}
	for _, pkh := range pkhs {
		if _, ok := s.ring.lookup(pkh); !ok {
			return nil, &Denial{Reason: UnknownKey, Text: fmt.Sprintf("no key %s is known here", pkh), Hint: "see: highwater keys list"}
		}
	}
	return out, nil
}

func (r *ring) lookup(pkh tezos.PublicKeyHash) (*ringKey, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[pkh]
	return k, ok
}
