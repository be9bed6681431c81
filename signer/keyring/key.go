package keyring

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"highwater/hwm"
	"highwater/internal/tezos"
	"highwater/signer/outcome"
	"highwater/signer/refusal"
)

// Policy says how a key may be used.
type Policy struct {
	PKH     tezos.PublicKeyHash
	Alias   string
	Devices []string     // names, in order of preference; empty: any device that holds the key
	Allow   []tezos.Kind // empty: all kinds
	// Reveal and Delegation let the key register as a baker, while the instance is on standby.
	Reveal, Delegation bool
}

// Key is a key with its locks. Knowledge of the key grows; the key never goes away while the process lives.
type Key struct {
	PKH     tezos.PublicKeyHash
	text    string // of PKH: base58check is too dear to sort by
	Policy  Policy
	pub     atomic.Pointer[tezos.PublicKey] // nil until a device offered the key once
	last    atomic.Pointer[search]          // the last search for the key's devices
	locks   map[tezos.Kind]*KindLock
	aliasMu sync.Mutex
	alias   string
}

func newKey(p Policy) *Key {
	k := &Key{PKH: p.PKH, text: p.PKH.String(), Policy: p, alias: p.Alias, locks: map[tezos.Kind]*KindLock{}}
	for _, kind := range tezos.Kinds {
		k.locks[kind] = &KindLock{baton: make(chan struct{}, 1)}
	}
	return k
}

// Public is the public key; nil: no device offered the key yet.
func (k *Key) Public() *tezos.PublicKey { return k.pub.Load() }

// Name is the alias, or empty.
func (k *Key) Name() string {
	k.aliasMu.Lock()
	defer k.aliasMu.Unlock()
	return k.alias
}

// Mark names the mark of a kind.
func (k *Key) Mark(chain tezos.ChainID, kind tezos.Kind) hwm.Key {
	return hwm.Key{Chain: chain, PKH: k.PKH, Kind: kind}
}

// Allows tells whether the key may sign a kind.
func (k *Key) Allows(kind tezos.Kind) bool {
	return len(k.Policy.Allow) == 0 || slices.Contains(k.Policy.Allow, kind)
}

// Kinds lists the kinds that the key may sign.
func (k *Key) Kinds() []tezos.Kind {
	if len(k.Policy.Allow) == 0 {
		return tezos.Kinds
	}
	return k.Policy.Allow
}

// KindLock lets a single request of a kind in at a time, and knows the request.
type KindLock struct {
	baton  chan struct{}
	holder atomic.Pointer[outcome.Record]
}

// Lock waits for the earlier request of the same kind to end; waiting obeys ctx.
func (k *Key) Lock(ctx context.Context, kind tezos.Kind, out *outcome.Record) (*KindLock, error) {
	l := k.locks[kind]
	select {
	case l.baton <- struct{}{}:
		l.holder.Store(out)
		return l, nil
	case <-ctx.Done():
		e := &refusal.TimeoutError{PKH: k.PKH, Gone: errors.Is(ctx.Err(), context.Canceled), Behind: true}
		if before := l.holder.Load(); before != nil {
			e.Stage, e.Device = before.Where()
		}
		return nil, e
	}
}

// Unlock lets the next request of the kind in.
func (l *KindLock) Unlock() {
	l.holder.Store(nil)
	<-l.baton
}
