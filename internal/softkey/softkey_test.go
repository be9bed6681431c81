package softkey_test

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/softkey"
	"highwater/internal/tezos"
)

// curves that this build can make keys of.
func curves() []tezos.Curve {
	all := []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256}
	if softkey.HasBLS {
		all = append(all, tezos.BLS12381)
	}
	return all
}

func TestSignaturesVerifyAndAreDeterministic(t *testing.T) {
	seed := []byte("a seed of sixteen bytes or more")
	payload := []byte{0x13, 1, 2, 3}
	for _, curve := range curves() {
		k, err := softkey.New(curve, seed)
		require.NoError(t, err)
		again, err := softkey.New(curve, seed)
		require.NoError(t, err)
		require.Equal(t, k.PublicKey().String(), again.PublicKey().String())
		require.Equal(t, curve, k.PublicKey().Hash().Curve)

		sig := k.Sign(payload)
		require.NoError(t, k.PublicKey().Verify(payload, sig), curve)
		require.True(t, sig.Equal(again.Sign(payload)), curve)
		require.ErrorIs(t, k.PublicKey().Verify([]byte{0x13, 1, 2, 4}, sig), tezos.ErrBadSignature)

		other, err := softkey.New(curve, []byte("another seed of sixteen or more"))
		require.NoError(t, err)
		require.NotEqual(t, k.PublicKey().String(), other.PublicKey().String())
	}
}

func TestProofOfPossession(t *testing.T) {
	for _, curve := range curves() {
		k, err := softkey.New(curve, []byte("a seed of sixteen bytes or more"))
		require.NoError(t, err)
		if curve != tezos.BLS12381 {
			require.True(t, k.Prove().IsZero(), curve)
			continue
		}
		require.NoError(t, k.PublicKey().VerifyPossession(k.Prove()))
		require.Error(t, k.PublicKey().VerifyPossession(k.Sign(k.PublicKey().Bytes())),
			"a signature is no proof: the tags differ")
	}
}

// TestKnownKey holds a scalar against the well-known public key of 1: the generator.
func TestKnownKey(t *testing.T) {
	one := make([]byte, 32)
	one[31] = 1
	for curve, want := range map[tezos.Curve]string{
		tezos.Secp256k1: "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
		tezos.P256:      "036b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
	} {
		k, err := softkey.FromScalar(curve, one)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(k.PublicKey().Bytes()))
	}
}

func TestBadInput(t *testing.T) {
	_, err := softkey.New(tezos.Ed25519, []byte("fifteen bytes.."))
	require.ErrorContains(t, err, "at least 16 bytes")
	_, err = softkey.New(tezos.MLDSA44, make([]byte, 32))
	require.Error(t, err)
	for _, curve := range curves() {
		_, err = softkey.FromScalar(curve, make([]byte, 31))
		require.ErrorIs(t, err, softkey.ErrBadScalar)
		if curve == tezos.Ed25519 {
			continue
		}
		_, err = softkey.FromScalar(curve, make([]byte, 32))
		require.ErrorIs(t, err, softkey.ErrBadScalar, curve)
		full := make([]byte, 32)
		for i := range full {
			full[i] = 0xff
		}
		_, err = softkey.FromScalar(curve, full)
		require.ErrorIs(t, err, softkey.ErrBadScalar, curve)
	}
}
