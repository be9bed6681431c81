package tezos_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"math/big"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	secpecdsa "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/stretchr/testify/require"
	blst "github.com/supranational/blst/bindings/go"

	"highwater/internal/tezos"
)

var blsDST = []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")

// testKey is a fresh key whose secret is known.
type testKey struct {
	*tezos.PublicKey
	sign func(payload []byte) []byte
}

func (k testKey) mustSign(t testing.TB, payload []byte) tezos.Signature {
	t.Helper()
	sig, err := tezos.NewSignature(k.Curve(), k.sign(payload))
	require.NoError(t, err)
	return sig
}

// newKeys makes one key of each curve.
func newKeys(t testing.TB) []testKey {
	t.Helper()
	key := func(curve tezos.Curve, raw []byte, sign func([]byte) []byte) testKey {
		pk, err := tezos.NewPublicKey(curve, raw)
		require.NoError(t, err)
		return testKey{pk, sign}
	}
	edPub, edSec, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	secp, err := secp256k1.GeneratePrivateKey()
	require.NoError(t, err)
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	seed := make([]byte, 32)
	_, err = rand.Read(seed)
	require.NoError(t, err)
	bls := blst.KeyGen(seed)

	return []testKey{
		key(tezos.Ed25519, edPub, func(p []byte) []byte {
			d := tezos.Digest(p)
			return ed25519.Sign(edSec, d[:])
		}),
		key(tezos.Secp256k1, secp.PubKey().SerializeCompressed(), func(p []byte) []byte {
			d := tezos.Digest(p)
			sig := secpecdsa.Sign(secp, d[:])
			r, s := sig.R(), sig.S()
			rb, sb := r.Bytes(), s.Bytes()
			return append(rb[:], sb[:]...)
		}),
		key(tezos.P256, elliptic.MarshalCompressed(elliptic.P256(), p256.X, p256.Y), func(p []byte) []byte {
			d := tezos.Digest(p)
			r, s, err := ecdsa.Sign(rand.Reader, p256, d[:])
			require.NoError(t, err)
			out := make([]byte, 64)
			r.FillBytes(out[:32])
			s.FillBytes(out[32:])
			return out
		}),
		key(tezos.BLS12381, new(blst.P1Affine).From(bls).Compress(), func(p []byte) []byte {
			return new(blst.P2Affine).Sign(bls, p, blsDST).Compress()
		}),
	}
}

func TestRecordedKeys(t *testing.T) {
	for _, row := range readKeys(t).Keys {
		t.Run(row.PKH, func(t *testing.T) {
			require.NotEmpty(t, row.Source)
			key, err := tezos.ParsePublicKey(row.PublicKey)
			require.NoError(t, err)
			require.Equal(t, curveOf(t, row.Curve), key.Curve())
			require.Equal(t, []byte(row.Raw), key.Bytes())
			require.Equal(t, row.PKH, key.Hash().String())
			require.Equal(t, row.PublicKey, key.String())
			again, err := tezos.NewPublicKey(key.Curve(), row.Raw)
			require.NoError(t, err)
			require.Equal(t, row.PublicKey, again.String())
		})
	}
}

func TestRecordedSignatures(t *testing.T) {
	vectors := readKeys(t)
	keys := vectors.keysByHash(t)
	for _, row := range vectors.Signatures {
		t.Run(row.Signature[:20], func(t *testing.T) {
			require.NotEmpty(t, row.Source)
			sig, err := tezos.ParseSignature(row.Signature)
			require.NoError(t, err)
			require.Equal(t, row.Signature, sig.String())
			require.Equal(t, []byte(row.Raw), sig.Bytes())
			err = keys[row.PKH].Verify(row.Payload, sig)
			if row.Scheme == "augmented" {
				require.ErrorIs(t, err, tezos.ErrBadSignature, "another BLS scheme must not pass")
				return
			}
			require.NoError(t, err)
			raw, err := tezos.NewSignature(keys[row.PKH].Curve(), row.Raw)
			require.NoError(t, err)
			require.NoError(t, keys[row.PKH].Verify(row.Payload, raw))
			for pkh, other := range keys {
				if pkh != row.PKH {
					require.ErrorIs(t, other.Verify(row.Payload, sig), tezos.ErrBadSignature, pkh)
				}
			}
		})
	}
}

func TestRecordedPossessionProofs(t *testing.T) {
	vectors := readKeys(t)
	keys := vectors.keysByHash(t)
	for _, row := range vectors.Possessions {
		proof, err := tezos.ParseSignature(row.Proof)
		require.NoError(t, err)
		require.Equal(t, []byte(row.Raw), proof.Bytes())
		key := keys[row.PKH]
		require.NoError(t, key.VerifyPossession(proof))
		for pkh, other := range keys {
			if pkh != row.PKH {
				require.ErrorIs(t, other.VerifyPossession(proof), tezos.ErrBadSignature, pkh)
			}
		}
		require.ErrorIs(t, key.Verify(key.Bytes(), proof), tezos.ErrBadSignature,
			"a proof is no signature of the key's bytes")
		require.ErrorIs(t, key.VerifyPossession(tezos.Signature{}), tezos.ErrBadSignature)
	}
}

// Every bit of a signature and of a payload counts, and so does the key.
func TestChangedBitsAreRefused(t *testing.T) {
	payload := vector(t, "bls attestation")
	for _, key := range newKeys(t) {
		t.Run(key.Curve().String(), func(t *testing.T) {
			raw := key.sign(payload)
			sig, err := tezos.NewSignature(key.Curve(), raw)
			require.NoError(t, err)
			require.NoError(t, key.Verify(payload, sig))
			for bit := range len(raw) * 8 {
				raw[bit/8] ^= 1 << (bit % 8)
				changed, err := tezos.NewSignature(key.Curve(), raw)
				require.NoError(t, err)
				require.ErrorIs(t, key.Verify(payload, changed), tezos.ErrBadSignature, "bit %d", bit)
				raw[bit/8] ^= 1 << (bit % 8)
			}
			clear(raw)
			require.NoError(t, key.Verify(payload, sig), "NewSignature copies what it is given")
			for _, at := range []int{0, len(payload) / 2, len(payload) - 1} {
				payload[at] ^= 0x01
				require.ErrorIs(t, key.Verify(payload, sig), tezos.ErrBadSignature)
				payload[at] ^= 0x01
			}
			require.ErrorIs(t, key.Verify(payload[:len(payload)-1], sig), tezos.ErrBadSignature)
			require.ErrorIs(t, key.Verify(nil, sig), tezos.ErrBadSignature)
			require.ErrorIs(t, key.Verify(payload, tezos.Signature{}), tezos.ErrBadSignature)
		})
	}
}

func TestSignaturesOfOtherCurvesAndKeysAreRefused(t *testing.T) {
	payload := vector(t, "attestation")
	keys, others := newKeys(t), newKeys(t)
	for i, key := range keys {
		for j := range keys {
			if i != j {
				require.ErrorIs(t, key.Verify(payload, keys[j].mustSign(t, payload)), tezos.ErrBadSignature)
			}
		}
		require.ErrorIs(t, key.Verify(payload, others[i].mustSign(t, payload)), tezos.ErrBadSignature)
	}
}

// Right bytes under the wrong label: the label alone is a reason to refuse.
func TestMislabelledSignaturesAreRefused(t *testing.T) {
	payload := vector(t, "attestation")
	keys := newKeys(t)
	for _, key := range keys[:3] {
		raw := key.sign(payload)
		for label := tezos.Ed25519; label <= tezos.P256; label++ {
			sig, err := tezos.NewSignature(label, raw)
			require.NoError(t, err)
			if err = key.Verify(payload, sig); label == key.Curve() {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tezos.ErrBadSignature)
			}
		}
		_, err := tezos.NewSignature(tezos.BLS12381, raw)
		require.Error(t, err, "a BLS signature has 96 bytes")
	}
}

func TestGenericSignatures(t *testing.T) {
	payload := vector(t, "attestation")
	for _, key := range newKeys(t) {
		raw := key.sign(payload)
		if len(raw) != 64 {
			raw = raw[:64]
		}
		sig, err := tezos.ParseSignature(genericText(t, raw))
		require.NoError(t, err)
		if err = key.Verify(payload, sig); key.Curve() == tezos.BLS12381 {
			require.ErrorIs(t, err, tezos.ErrBadSignature)
		} else {
			require.NoError(t, err)
		}
		require.ErrorIs(t, key.VerifyPossession(sig), tezos.ErrBadSignature)
	}
}

// The other square root gives another valid ECDSA signature. Octez refuses it for secp256k1, and accepts it for P-256.
func TestHighS(t *testing.T) {
	payload := vector(t, "attestation")
	keys := newKeys(t)
	orders := map[tezos.Curve]*big.Int{tezos.Secp256k1: secp256k1.Params().N, tezos.P256: elliptic.P256().Params().N}
	for _, key := range keys[1:3] {
		raw := key.sign(payload)
		s := new(big.Int).SetBytes(raw[32:])
		s.Sub(orders[key.Curve()], s).FillBytes(raw[32:])
		sig, err := tezos.NewSignature(key.Curve(), raw)
		require.NoError(t, err)
		if err = key.Verify(payload, sig); key.Curve() == tezos.Secp256k1 {
			require.ErrorIs(t, err, tezos.ErrBadSignature)
		} else {
			require.NoError(t, err)
		}
		// 0 and the order itself, which is 0 again, are never a part of a signature.
		for _, part := range []int{0, 32} {
			zero := key.sign(payload)
			clear(zero[part : part+32])
			sig, err = tezos.NewSignature(key.Curve(), zero)
			require.NoError(t, err)
			require.ErrorIs(t, key.Verify(payload, sig), tezos.ErrBadSignature)
			order := key.sign(payload)
			orders[key.Curve()].FillBytes(order[part : part+32])
			sig, err = tezos.NewSignature(key.Curve(), order)
			require.NoError(t, err)
			require.ErrorIs(t, key.Verify(payload, sig), tezos.ErrBadSignature)
		}
	}
}

func TestBadKeys(t *testing.T) {
	fill := func(n int, first ...byte) []byte {
		b := make([]byte, n)
		copy(b, first)
		return b
	}
	rows := map[string]struct {
		curve tezos.Curve
		raw   []byte
	}{
		"no bytes":                    {tezos.Ed25519, nil},
		"short ed25519":               {tezos.Ed25519, fill(31)},
		"long ed25519":                {tezos.Ed25519, fill(33)},
		"secp256k1 not compressed":    {tezos.Secp256k1, fill(65, 4)},
		"secp256k1 with another sign": {tezos.Secp256k1, fill(33, 4, 1)},
		"secp256k1 off the curve":     {tezos.Secp256k1, append(fill(32, 2), 5)},
		"secp256k1 beyond the field":  {tezos.Secp256k1, fieldOverflow()},
		"P-256 off the curve":         {tezos.P256, append(fill(32, 2), 1)},
		"P-256 beyond the field":      {tezos.P256, fieldOverflow()},
		"P-256 with another sign":     {tezos.P256, fill(33, 0)},
		"BLS infinity":                {tezos.BLS12381, fill(48, 0xc0)},
		"BLS not compressed":          {tezos.BLS12381, fill(48, 0x00)},
		"BLS out of the subgroup":     {tezos.BLS12381, pointOffG1(t)},
		"tz5":                         {tezos.MLDSA44, fill(1312)},
		"unknown curve":               {tezos.Curve(200), fill(32)},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			key, err := tezos.NewPublicKey(row.curve, row.raw)
			require.ErrorIs(t, err, tezos.ErrBadKey)
			require.Nil(t, key)
		})
	}
}

// fieldOverflow is a compressed point whose x is all ones, above the field of both curves.
func fieldOverflow() []byte {
	b := make([]byte, 33)
	for i := range b {
		b[i] = 0xff
	}
	b[0] = 2
	return b
}

func TestPublicKeyIsImmutable(t *testing.T) {
	key := newKeys(t)[0]
	raw := key.Bytes()
	again, err := tezos.NewPublicKey(tezos.Ed25519, raw)
	require.NoError(t, err)
	raw[0] ^= 1
	require.Equal(t, key.Bytes(), again.Bytes())
	b := again.Bytes()
	b[0] ^= 1
	require.Equal(t, key.Bytes(), again.Bytes())
}
