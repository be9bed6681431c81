package signer

import (
	"context"
	"fmt"
	"slices"
	"time"

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
	Devices   []DeviceInfo // those that hold it, or may
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
		info := KeyInfo{PKH: k.pkh, PublicKey: k.public(), Alias: k.name(), Allow: k.kinds()}
		for _, d := range s.candidates(k) {
			if holds(d, k.pkh) || slices.Contains(k.policy.Devices, d.Name()) {
				info.Devices = append(info.Devices, describe(d))
			}
		}
		out = append(out, info)
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
		out = append(out, describe(d))
	}
	return out
}

func describe(d Device) DeviceInfo { return DeviceInfo{d.Name(), d.Status(), d.Keys()} }

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

// Activate makes this instance the one that signs, in a new epoch. With a level, the floors of all keys are raised to it in the
// same write; without, every key must have its marks.
func (s *Signer) Activate(level *int32, why string) (hwm.RoleRecord, error) {
	if len(s.ring.all()) == 0 {
		return hwm.RoleRecord{}, &Denial{
			Reason: UnknownKey, Text: "no key is known yet: there is nothing to sign with",
			Hint: "connect the device and run: highwater keys list",
		}
	}
	var floors []hwm.Row
	if level != nil {
		for _, k := range s.ring.all() {
			for _, kind := range k.kinds() {
				floors = append(floors, hwm.Row{Key: k.mark(s.chain, kind), Mark: hwm.Floor(*level, s.now(), hwm.SourceSet)})
			}
		}
	} else if missing, err := s.MissingMarks(); err != nil {
		return hwm.RoleRecord{}, err
	} else if len(missing) > 0 {
		return hwm.RoleRecord{}, &Denial{
			Reason: string(hwm.NoMark), Text: fmt.Sprintf("%d watermarks are missing, the first: %s", len(missing), missing[0]),
			Hint: "set them first (highwater hwm set --all --level LEVEL), or give activate a --level above all that was ever signed",
		}
	}
	s.roleMu.Lock()
	defer s.roleMu.Unlock()
	prev := s.store.Role()
	if prev.Role == hwm.Active {
		_, err := s.store.Raise(floors)
		return prev, err
	}
	next := hwm.RoleRecord{Role: hwm.Active, Epoch: prev.Epoch + 1, Owner: s.store.Instance(), Since: s.now(), Why: why}
	if err := s.store.SetRole(next, floors); err != nil {
		return hwm.RoleRecord{}, err
	}
	s.gate.open()
	s.log.Info("role", "role", next.Role.String(), "epoch", next.Epoch, "why", next.Why)
	return s.store.Role(), nil
}

// DrainTimeout is how long a change of role waits for the signatures under way before it gives them up.
const DrainTimeout = 5 * time.Second

// Stand ends signing: newcomers are refused at once, those inside are waited for, then the role is durable. Signatures that the
// wait gave up never leave.
func (s *Signer) Stand(ctx context.Context, role hwm.Role, why string) (hwm.RoleRecord, error) {
	if role == hwm.Active {
		return hwm.RoleRecord{}, fmt.Errorf("%s is not a role to stand by in", role)
	}
	s.roleMu.Lock()
	defer s.roleMu.Unlock()
	s.gate.close()
	drain, cancel := context.WithTimeout(ctx, DrainTimeout)
	defer cancel()
	s.gate.drain(drain)
	next := s.store.Role()
	next.Role, next.Since, next.Why = role, s.now(), why
	if err := s.store.SetRole(next, nil); err != nil {
		return hwm.RoleRecord{}, err
	}
	s.log.Info("role", "role", next.Role.String(), "epoch", next.Epoch, "why", next.Why)
	return s.store.Role(), nil
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
