package signer_test

import (
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// released is the naive list of every signature that ever left, whatever process it left: the promises are checked against it.
type released struct {
	mu  sync.Mutex
	all []release
}

type release struct {
	pkh    tezos.PublicKeyHash
	kind   tezos.Kind
	at     hwm.Position
	digest [32]byte
	sig    tezos.Signature
}

// add takes a signature that was answered, and fails when it must not have been.
func (r *released) add(t require.TestingT, key *tezos.PublicKey, payload []byte, sig tezos.Signature) {
	require.NoError(t, key.Verify(payload, sig), "a signature that does not verify")
	req, err := tezos.Decode(key.Curve(), payload)
	require.NoError(t, err)
	now := release{key.Hash(), req.Kind, hwm.Position{Level: req.Level, Round: req.Round}, req.Digest, sig}
	r.mu.Lock()
	defer r.mu.Unlock()
	require.NoError(t, r.check(now))
	r.all = append(r.all, now)
}

func (r *released) check(now release) error {
	for _, old := range r.all {
		if old.pkh != now.pkh || old.kind != now.kind {
			continue
		}
		switch order := now.at.Compare(old.at); {
		case order < 0:
			return fmt.Errorf("a %s at %s left after one at %s", now.kind, now.at, old.at)
		case order == 0 && old.digest != now.digest:
			return fmt.Errorf("a double signature: %s at %s", now.kind, now.at)
		case order == 0 && !old.sig.Equal(now.sig):
			return fmt.Errorf("two signatures of the same bytes: %s at %s", now.kind, now.at)
		}
	}
	return nil
}
