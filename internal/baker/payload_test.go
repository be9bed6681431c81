package baker_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/baker"
	"highwater/internal/tezos"
)

var (
	chain  = tezos.ChainID{1, 2, 3, 4}
	curves = []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256, tezos.BLS12381}
)

// What is built must be read back, by the decoder that the signer trusts, as exactly what was meant.
func TestPayloadIsDecodedAsIntended(t *testing.T) {
	for _, curve := range curves {
		for _, kind := range tezos.Kinds {
			for _, dal := range []int{0, 1, 2, 9} {
				for _, at := range [][2]int32{{0, 0}, {1, 0}, {8_000_000, 3}, {2_147_483_647, 2_147_483_647}} {
					step := baker.Step{Chain: chain, Kind: kind, Level: at[0], Round: at[1], DAL: dal}
					payload := step.Payload(curve)
					req, err := tezos.Decode(curve, payload)
					require.NoError(t, err, "%s %s dal %d at %v", curve, kind, dal, at)
					want := tezos.Request{Chain: chain, Kind: kind, Level: at[0], Round: at[1], Digest: tezos.Digest(payload)}
					require.Equal(t, want, req, "%s %s dal %d at %v: no warning either", curve, kind, dal, at)
				}
			}
		}
	}
}

// Another variant is other bytes for the same place: what a double signature is made of.
func TestVariantsDifferInBytesOnly(t *testing.T) {
	for _, curve := range curves {
		for _, kind := range tezos.Kinds {
			one := baker.Step{Chain: chain, Kind: kind, Level: 7, Round: 2}
			two := one
			two.Variant = 1
			a, err := tezos.Decode(curve, one.Payload(curve))
			require.NoError(t, err)
			b, err := tezos.Decode(curve, two.Payload(curve))
			require.NoError(t, err)
			require.NotEqual(t, a.Digest, b.Digest)
			b.Digest = a.Digest
			require.Equal(t, a, b)
			require.Equal(t, one.Payload(curve), one.Payload(curve), "the same step gives the same bytes")
		}
	}
}

// The layout depends on the key's curve: a tz4 payload is not one for another key.
func TestPayloadOfAnotherCurveIsNotDecoded(t *testing.T) {
	for _, kind := range []tezos.Kind{tezos.Preattestation, tezos.Attestation} {
		step := baker.Step{Chain: chain, Kind: kind, Level: 7}
		_, err := tezos.Decode(tezos.Ed25519, step.Payload(tezos.BLS12381))
		require.ErrorIs(t, err, tezos.ErrPayload)
		_, err = tezos.Decode(tezos.BLS12381, step.Payload(tezos.Ed25519))
		require.ErrorIs(t, err, tezos.ErrPayload)
	}
}
