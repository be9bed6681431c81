package signertest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"highwater/hwm"
	"highwater/internal/tezos"
)

// Released is the naive list of every signature that ever left, of every process. A failure names the promise that
// broke.
type Released struct {
	mu  sync.Mutex
	all []Release
}

// Release is a signature that left.
type Release struct {
	PKH    tezos.PublicKeyHash
	Kind   tezos.Kind
	At     hwm.Position
	Digest [32]byte // of the payload
	sig    tezos.Signature
}

// All are the signatures so far, in the order in which they left.
func (r *Released) All() []Release {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.all)
}

// Add takes a signature that was answered, and fails when the signature should not have left.
func (r *Released) Add(t require.TestingT, key *tezos.PublicKey, payload []byte, sig tezos.Signature) {
	Verifies(t, key, payload, sig)
	req, err := tezos.Decode(key.Curve(), payload)
	require.NoError(t, err, "a signature left for a payload without a valid encoding")
	now := Release{key.Hash(), req.Kind, hwm.Position{Level: req.Level, Round: req.Round}, req.Digest, sig}
	r.mu.Lock()
	defer r.mu.Unlock()
	require.NoError(t, r.broken(now))
	r.all = append(r.all, now)
}

// broken names the promise that a signature breaks; nil: none.
func (r *Released) broken(now Release) error {
	for _, old := range r.all {
		if old.PKH != now.PKH || old.Kind != now.Kind {
			continue
		}
		switch order := now.At.Compare(old.At); {
		case order < 0:
			return fmt.Errorf("promise 1 (monotonic): a signature of a %s at %s left after the signature "+
				"at %s", now.Kind, now.At, old.At)
		case order == 0 && old.Digest != now.Digest:
			return fmt.Errorf("promise 1 (monotonic): a double signature left: two payloads of a %s at %s", now.Kind, now.At)
		case order == 0 && !old.sig.Equal(now.sig):
			return fmt.Errorf("promise 1 (the same bytes get the same signature): a second signature left: %s at %s", now.Kind,
				now.At)
		}
	}
	return nil
}

// Verifies fails when a signature that left does not verify.
func Verifies(t require.TestingT, key *tezos.PublicKey, payload []byte, sig tezos.Signature) {
	require.NoError(t, key.Verify(payload, sig), "promise 6 (each answer is right): a wrong signature left")
}

// Nothing fails when a signature left beside an error.
func Nothing(t require.TestingT, sig tezos.Signature) {
	require.Zero(t, sig, "promise 3 (unknown means no): a signature left beside a refusal")
}
