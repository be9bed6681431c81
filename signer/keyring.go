package signer

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
)

// KeyPolicy says how a key may be used.
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

// add makes a key known, unless the configuration lists only other keys. The caller holds r.mu, or the only
// reference.
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

// learn takes over a device's keys, and gives what to remember for times when the device is away.
func (r *ring) learn(d Device, store Memory) (out []hwm.KnownKey) {
	for _, dk := range d.Keys() {
		r.mu.Lock()
		k := r.add(dk.PublicKey, dk.Alias)
		r.mu.Unlock()
		if k == nil {
			continue
		}
		known := hwm.KnownKey{PublicKey: dk.PublicKey.String(), Alias: dk.Alias, Device: d.Name()}
		if old, ok := store.KnownKey(k.pkh); ok {
			known.Device = old.Device
		}
		out = append(out, known)
	}
	return out
}

// remember makes keys durable. All wait for the disk together: thousands of keys take a few commits.
func remember(keys []hwm.KnownKey, store Memory, log *slog.Logger) {
	var all sync.WaitGroup
	for _, k := range keys {
		all.Go(func() {
			if err := store.RememberKey(k); err != nil {
				log.Error("key not remembered", "public_key", k.PublicKey, "error", err)
			}
		})
	}
	all.Wait()
}

func (r *ring) find(pkh tezos.PublicKeyHash) (*ringKey, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[pkh]
	switch {
	case !ok && pkh.Curve == tezos.MLDSA44:
		return nil, &Denial{Reason: UnknownKey, Text: pkh.String() + " is a tz5 (ML-DSA-44) address: " +
			"no device here can sign"}
	case !ok:
		return nil, &Denial{
			Reason: UnknownKey, Text: fmt.Sprintf("key %s is not known here", pkh), Hint: "see the known keys: " +
				"highwater keys list",
		}
	case k.public() == nil:
		return nil, &device.Error{
			Health: device.Absent, Err: fmt.Errorf("%s is configured, but no device with the key was "+
				"connected yet", pkh),
			Hint: "connect the device with the key; see: highwater status",
		}
	}
	return k, nil
}

func (r *ring) lookup(pkh tezos.PublicKeyHash) (*ringKey, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[pkh]
	return k, ok
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
