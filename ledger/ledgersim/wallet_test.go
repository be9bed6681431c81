package ledgersim

import (
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
	"highwater/ledger"
)

// zebra is the mnemonic of all recordings.
var zebra = strings.TrimSpace(strings.Repeat("zebra ", 24))

func TestRecordedPublicKeys(t *testing.T) {
	w, err := newWallet(zebra)
	require.NoError(t, err)
	for curve, want := range map[ledger.Curve]string{
		ledger.Ed25519: "02747884d9abdf16b3ab745158925f567e222f71225501826fa83347f6cbe9c393",
		ledger.Secp256k1: "04211f369d9ec3a0fbe10febf05a8b67a9ca705b90534b9dfe3e08f2dac99bd008" +
			"111079d35265a935866e0444f1a4c1044c9c81f4178d43ef5c132332019bf9c1",
		ledger.BLS12381: "048718f20479824f6f8ee31ca575bda231347c246875875cf1ed37bcd1b2dfbc" +
			"a7c1c1aff119ec8929ddff182aa6dbcb33" +
			"062f9ece5956fef8e92df62ba55a3bfb65ad1dd45f723fac050fca46afbaf74cb095b46b506e022056ce117e3bc28e3b",
	} {
		if curve == ledger.BLS12381 && !tezos.HasBLS {
			continue
		}
		k, err := w.derive(curve, ledger.DefaultPath)
		require.NoError(t, err)
		require.Equal(t, want, hex.EncodeToString(k.point()), curve)
	}
}

// bip25519Seed is the key of the curve bip25519 at 44'/1729'/0'/0' of the recordings' mnemonic, as the app's authors
// print it in their own tests.
const bip25519Seed = "edsk2oM2vowLX6m5wtTnkBNK3PCPL2rTow1U4MQmxZiQtJQc65KP5i"

// TestBIP25519IsASeed holds the app's oddity: half of an extended key serves as the seed of an ordinary one.
func TestBIP25519IsASeed(t *testing.T) {
	raw, err := base58.Decode(bip25519Seed)
	require.NoError(t, err)
	require.Len(t, raw, 4+ed25519.SeedSize+4)
	want := ed25519.NewKeyFromSeed(raw[4 : 4+ed25519.SeedSize])
	w, err := newWallet(zebra)
	require.NoError(t, err)
	k, err := w.derive(ledger.BIP25519, ledger.DefaultPath)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(want.Public().(ed25519.PublicKey)), hex.EncodeToString(k.compressed()))
	digest := tezos.Digest([]byte{0x13, 1, 2, 3})
	require.Equal(t, ed25519.Sign(want, digest[:]), k.sign(nil, digest[:]))
}

// TestEverySignatureVerifies holds the curves that no recording covers against the verification that Tezos does.
func TestEverySignatureVerifies(t *testing.T) {
	w, err := newWallet("any other text")
	require.NoError(t, err)
	soft, err := ledger.ParsePath("0h/7")
	require.NoError(t, err)
	payload := []byte{0x13, 1, 2, 3}
	digest := tezos.Digest(payload)
	for _, curve := range []ledger.Curve{ledger.Ed25519, ledger.BIP25519} {
		path := ledger.DefaultPath
		if curve == ledger.BIP25519 {
			path = soft
		}
		k, derr := w.derive(curve, path)
		require.NoError(t, derr)
		pub, perr := publicKey(curve, k)
		require.NoError(t, perr)
		sig, serr := tezos.NewSignature(tezos.Ed25519, k.sign(payload, digest[:]))
		require.NoError(t, serr)
		require.NoError(t, pub.Verify(payload, sig), curve)
	}
	_, err = w.derive(ledger.Ed25519, soft)
	require.ErrorIs(t, err, errDerivation)
}
