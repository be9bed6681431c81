package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// KeyPolicy says what a key may be used for.
type KeyPolicy struct {
	PKH     tezos.PublicKeyHash
	Alias   string
	Devices []string     // names, in order of preference; empty: any device that holds the key
	Allow   []tezos.Kind // empty: all kinds
	// Reveal and Delegation let the key register as a baker, while the instance is on standby.
	Reveal, Delegation bool
}

// ring is the set of keys that may be asked for.
type ring struct {
	mu     sync.RWMutex
	keys   map[tezos.PublicKeyHash]*ringKey
	closed bool // only the keys of the configuration
}

// kindLock lets one request of a kind in at a time, and knows which.
type kindLock struct {
	baton  chan struct{}
	holder atomic.Pointer[outcome]
}

// ringKey is a key with its locks. What is known of it grows; it never goes away while the process lives.
type ringKey struct {
	pkh     tezos.PublicKeyHash
	text    string // of pkh: base58check is too dear to sort by
	policy  KeyPolicy
	pub     atomic.Pointer[tezos.PublicKey] // nil until a device offered the key once
	last    atomic.Pointer[search]          // for its devices
	locks   map[tezos.Kind]*kindLock
	aliasMu sync.Mutex
	alias   string
}

func newRing(policies []KeyPolicy, known map[tezos.PublicKeyHash]hwm.KnownKey) *ring {
	r := &ring{keys: map[tezos.PublicKeyHash]*ringKey{}, closed: len(policies) > 0}
	for _, p := range policies {
		r.keys[p.PKH] = newRingKey(p)
	}
	for pkh, k := range known {
		if public, err := tezos.ParsePublicKey(k.PublicKey); err == nil && public.Hash() == pkh {
			r.add(public, k.Alias)
		}
	}
	return r
}

func newRingKey(p KeyPolicy) *ringKey {
	k := &ringKey{pkh: p.PKH, text: p.PKH.String(), policy: p, alias: p.Alias, locks: map[tezos.Kind]*kindLock{}}
	for _, kind := range tezos.Kinds {
		k.locks[kind] = &kindLock{baton: make(chan struct{}, 1)}
	}
	return k
}

// add makes a key known, unless the configuration lists others only. The caller holds r.mu, or the only reference.
func (r *ring) add(public *tezos.PublicKey, alias string) *ringKey {
	k, ok := r.keys[public.Hash()]
	if !ok {
		if r.closed {
			return nil
		}
		k = newRingKey(KeyPolicy{PKH: public.Hash(), Alias: alias})
		r.keys[k.pkh] = k
	}
	k.pub.CompareAndSwap(nil, public)
	k.aliasMu.Lock()
	defer k.aliasMu.Unlock()
	if k.alias == "" {
		k.alias = alias
	}
	return k
}

// learn takes over what a device offers, and remembers it for times when the device is away.
func (r *ring) learn(d Device, store Registry, log *slog.Logger) {
	for _, dk := range d.Keys() {
		r.mu.Lock()
		k := r.add(dk.PublicKey, dk.Alias)
		r.mu.Unlock()
		if k == nil {
			continue
		}
		known := hwm.KnownKey{PublicKey: dk.PublicKey.String(), Alias: dk.Alias, Device: d.Name()}
		if old, ok := store.KnownKeys()[k.pkh]; ok {
			known.Device = old.Device
		}
		if err := store.RememberKey(known); err != nil {
			log.Error("key not remembered", "pkh", k.pkh.String(), "error", err)
		}
	}
}

func (r *ring) find(pkh tezos.PublicKeyHash) (*ringKey, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[pkh]
	switch {
	case !ok && pkh.Curve == tezos.MLDSA44:
		return nil, &Denial{Reason: UnknownKey, Text: pkh.String() + " is a tz5 (ML-DSA-44) address: no device here can sign for it"}
	case !ok:
		return nil, &Denial{
			Reason: UnknownKey, Text: fmt.Sprintf("no key %s is known here", pkh), Hint: "see what is: highwater keys list",
		}
	case k.public() == nil:
		return nil, &device.Error{
			Health: device.Absent, Err: fmt.Errorf("%s is configured, but no device that holds it was connected yet", pkh),
			Hint: "connect the device that holds this key; see: highwater status",
		}
	}
	return k, nil
}

func (r *ring) all() []*ringKey {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*ringKey, 0, len(r.keys))
	for _, k := range r.keys {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b *ringKey) int { return strings.Compare(a.text, b.text) })
	return out
}

func (k *ringKey) public() *tezos.PublicKey { return k.pub.Load() }

func (k *ringKey) name() string {
	k.aliasMu.Lock()
	defer k.aliasMu.Unlock()
	return k.alias
}

func (k *ringKey) mark(chain tezos.ChainID, kind tezos.Kind) hwm.Key {
	return hwm.Key{Chain: chain, PKH: k.pkh, Kind: kind}
}

// lock waits for the other request of the same kind to end; waiting obeys ctx.
func (k *ringKey) lock(ctx context.Context, kind tezos.Kind, out *outcome) (unlock func(), err error) {
	l := k.locks[kind]
	select {
	case l.baton <- struct{}{}:
		l.holder.Store(out)
		return func() { l.holder.Store(nil); <-l.baton }, nil
	case <-ctx.Done():
		e := &TimeoutError{PKH: k.pkh, Gone: errors.Is(ctx.Err(), context.Canceled), Behind: true}
		if before := l.holder.Load(); before != nil {
			e.Stage, e.Device = before.where()
		}
		return nil, e
	}
}

func (k *ringKey) allows(kind tezos.Kind) bool {
	return len(k.policy.Allow) == 0 || slices.Contains(k.policy.Allow, kind)
}

// kinds lists what the key may sign.
func (k *ringKey) kinds() []tezos.Kind {
	if len(k.policy.Allow) == 0 {
		return tezos.Kinds
	}
	return k.policy.Allow
}

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
