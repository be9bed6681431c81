// Package keyring has the keys that may be asked for, a lock for each of their kinds, and the devices that hold each.
package keyring

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"highwater/hwm"
	"highwater/internal/device"
	"highwater/internal/tezos"
	"highwater/signer/refusal"
)

// Ring is the set of keys that may be asked for.
type Ring struct {
	mu     sync.RWMutex
	keys   map[tezos.PublicKeyHash]*Key
	Closed bool // only the keys of the configuration
}

// New makes the ring of the configured keys; without any, of every key that was or will be met.
func New(policies []Policy, known map[tezos.PublicKeyHash]hwm.KnownKey) *Ring {
	r := &Ring{keys: map[tezos.PublicKeyHash]*Key{}, Closed: len(policies) > 0}
	for _, p := range policies {
		r.keys[p.PKH] = newKey(p)
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
func (r *Ring) add(public *tezos.PublicKey, alias string) *Key {
	k, ok := r.keys[public.Hash()]
	if !ok {
		if r.Closed {
			return nil
		}
		k = newKey(Policy{PKH: public.Hash(), Alias: alias})
		r.keys[k.PKH] = k
	}
	k.pub.CompareAndSwap(nil, public)
	k.aliasMu.Lock()
	defer k.aliasMu.Unlock()
	if k.alias == "" {
		k.alias = alias
	}
	return k
}

// Learn takes over a device's keys, and gives the keys to remember for the times without the device.
func (r *Ring) Learn(d Device, store Store) (out []hwm.KnownKey) {
	for _, dk := range d.Keys() {
		r.mu.Lock()
		k := r.add(dk.PublicKey, dk.Alias)
		r.mu.Unlock()
		if k == nil {
			continue
		}
		known := hwm.KnownKey{PublicKey: dk.PublicKey.String(), Alias: dk.Alias, Device: d.Name()}
		if old, ok := store.KnownKey(k.PKH); ok {
			known.Device = old.Device
		}
		out = append(out, known)
	}
	return out
}

// Remember makes keys durable. All wait for the disk together: thousands of keys take a few commits.
func Remember(keys []hwm.KnownKey, store Store, log *slog.Logger) {
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

// Find gives a key with a known public key. The error is a *refusal.Denial, or a *device.Error.
func (r *Ring) Find(pkh tezos.PublicKeyHash) (*Key, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[pkh]
	switch {
	case !ok && pkh.Curve == tezos.MLDSA44:
		return nil, &refusal.Denial{Reason: refusal.UnknownKey, Text: pkh.String() + " is a tz5 (ML-DSA-44) address: " +
			"no device here can sign"}
	case !ok:
		return nil, &refusal.Denial{
			Reason: refusal.UnknownKey, Text: fmt.Sprintf("key %s is not known here", pkh), Hint: "see the known keys: " +
				"highwater keys list",
		}
	case k.Public() == nil:
		return nil, &device.Error{
			Health: device.Absent, Err: fmt.Errorf("%s is configured, but no device with the key was "+
				"connected yet", pkh),
			Hint: "connect the device with the key; see: highwater status",
		}
	}
	return k, nil
}

// Lookup gives a key, also without its public key.
func (r *Ring) Lookup(pkh tezos.PublicKeyHash) (*Key, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	k, ok := r.keys[pkh]
	return k, ok
}

// All lists the keys, by address.
func (r *Ring) All() []*Key {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*Key, 0, len(r.keys))
	for _, k := range r.keys {
		out = append(out, k)
	}
	slices.SortFunc(out, func(a, b *Key) int { return strings.Compare(a.text, b.text) })
	return out
}
