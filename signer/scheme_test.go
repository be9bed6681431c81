package signer_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	blst "github.com/supranational/blst/bindings/go"

	"highwater/internal/hints"
	"highwater/internal/softkey"
	"highwater/internal/tezos"
	"highwater/signer"
)

// A device's signature in another BLS scheme does not leave, and the error names the scheme.
func TestWrongSchemeIsNamed(t *testing.T) {
	scalar := bytes.Repeat([]byte{7}, 32)
	key, err := softkey.FromScalar(tezos.BLS12381, scalar)
	require.NoError(t, err)
	r := &rig{key: key, device: newDevice("left", key)}
	r.host = newHost(t, 0, func(c *signer.Config) { c.Devices = []signer.Device{r.device} })
	for i, row := range []struct {
		name, tag string
		before    []byte // the message
	}{
		{"augmented", "AUG_", key.PublicKey().Bytes()},
		{"basic", "NUL_", nil},
	} {
		r.device.Script(func(_ context.Context, _ tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
			secret := new(blst.SecretKey).Deserialize(scalar)
			message := append(bytes.Clone(row.before), payload...)
			point := new(blst.P2Affine).Sign(secret, message, []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_"+row.tag))
			return tezos.NewSignature(tezos.BLS12381, point.Compress())
		})
		err = r.refusal(r.payload(tezos.Block, int32(20+i), 0, 1), "wrong_signature")
		require.ErrorContains(t, err, "in the "+row.name+" BLS scheme")
		require.Contains(t, hints.Of(err), "TezSign")
	}
	other := newKey(t, tezos.BLS12381, 9)
	r.device.Script(func(_ context.Context, _ tezos.PublicKeyHash, payload []byte) (tezos.Signature, error) {
		return other.Sign(payload), nil
	})
	require.NotContains(t, r.refusal(r.payload(tezos.Block, 40, 0, 1), "wrong_signature").Error(), "scheme")
}
