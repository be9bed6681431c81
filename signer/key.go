package signer

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// ringKey is a key with its locks. Knowledge of the key grows; the key never goes away while the process lives.
type ringKey struct {
	pkh     tezos.PublicKeyHash
	text    string // of pkh: base58check is too dear to sort by
	policy  KeyPolicy
	pub     atomic.Pointer[tezos.PublicKey] // nil until a device offered the key once
	last    atomic.Pointer[search]          // the last search for the key's devices
	locks   map[tezos.Kind]*kindLock
	aliasMu sync.Mutex
	alias   string
}

func newRingKey(p KeyPolicy) *ringKey {
	k := &ringKey{pkh: p.PKH, text: p.PKH.String(), policy: p, alias: p.Alias, locks: map[tezos.Kind]*kindLock{}}
	for _, kind := range tezos.Kinds {
		k.locks[kind] = &kindLock{baton: make(chan struct{}, 1)}
	}
	return k
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

func (k *ringKey) allows(kind tezos.Kind) bool {
	return len(k.policy.Allow) == 0 || slices.Contains(k.policy.Allow, kind)
}

// kinds lists the kinds that the key may sign.
func (k *ringKey) kinds() []tezos.Kind {
	if len(k.policy.Allow) == 0 {
		return tezos.Kinds
	}
	return k.policy.Allow
}

// kindLock lets a single request of a kind in at a time, and knows the request.
type kindLock struct {
	baton  chan struct{}
	holder atomic.Pointer[outcome]
}

// lock waits for the earlier request of the same kind to end; waiting obeys ctx.
func (k *ringKey) lock(ctx context.Context, kind tezos.Kind, out *outcome) (*kindLock, error) {
	l := k.locks[kind]
	select {
	case l.baton <- struct{}{}:
		l.holder.Store(out)
		return l, nil
	case <-ctx.Done():
		e := &TimeoutError{PKH: k.pkh, Gone: errors.Is(ctx.Err(), context.Canceled), Behind: true}
		if before := l.holder.Load(); before != nil {
			e.Stage, e.Device = before.where()
		}
		return nil, e
	}
}

func (l *kindLock) unlock() {
	l.holder.Store(nil)
	<-l.baton
}
