package tezos_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// TestAwait: a signature that was awaited is verified as any other: under the key, of the curve, over the payload.
func TestAwait(t *testing.T) {
	payload, other := vector(t, "attestation"), vector(t, "attestation with dal")
	keys := newKeys(t)
	for i, key := range keys {
		good := key.mustSign(t, payload)
		require.NoError(t, key.Await(payload).Verify(good))
		require.ErrorIs(t, key.Await(other).Verify(good), tezos.ErrBadSignature)
		require.ErrorIs(t, key.Await(payload).Verify(newKeys(t)[i].mustSign(t, payload)), tezos.ErrBadSignature)
		foreign := keys[(i+1)%len(keys)].mustSign(t, payload)
		require.ErrorIs(t, key.Await(payload).Verify(foreign), tezos.ErrBadSignature)
	}
}

// TestHalfIsDoneBefore: once a tz4 signature is there, the message was hashed and paired with the key already.
func TestHalfIsDoneBefore(t *testing.T) {
	payload, key := vector(t, "attestation"), newKeys(t)[3]
	awaited := key.Await(payload)
	awaited.Prepared()
	sig := key.mustSign(t, payload)
	clear(payload) // the message is not looked at any more
	require.NoError(t, awaited.Verify(sig))
}
