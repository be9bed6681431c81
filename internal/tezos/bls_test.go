package tezos_test

import (
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"
	blst "github.com/supranational/blst/bindings/go"

	"highwater/internal/tezos"
)

// pointOffG1 is a point of the curve that is not in G1: nearly all are not.
func pointOffG1(t testing.TB) []byte {
	t.Helper()
	for x := byte(1); x < 100; x++ {
		raw := make([]byte, 48)
		raw[0], raw[47] = 0x80, x
		if p := new(blst.P1Affine).Uncompress(raw); p != nil && !p.InG1() {
			return raw
		}
	}
	require.Fail(t, "no point found")
	return nil
}

// pointOffG2 is a point of the twist that is not in G2.
func pointOffG2(t testing.TB) *blst.P2Affine {
	t.Helper()
	for x := byte(1); x < 100; x++ {
		raw := make([]byte, 96)
		raw[0], raw[95] = 0x80, x
		if p := new(blst.P2Affine).Uncompress(raw); p != nil && !p.InG2() {
			return p
		}
	}
	require.Fail(t, "no point found")
	return nil
}

// A point of the twist outside G2, alone and added to a valid signature.
func TestBLSSignatureOutsideTheSubgroupIsRefused(t *testing.T) {
	payload := vector(t, "bls attestation")
	key := newKeys(t)[3]
	valid := new(blst.P2Affine).Uncompress(key.sign(payload))
	require.NotNil(t, valid)
	var sum blst.P2
	sum.FromAffine(valid)
	outside := pointOffG2(t)
	for _, point := range []*blst.P2Affine{outside, sum.Add(outside).ToAffine()} {
		require.False(t, point.InG2())
		sig, err := tezos.NewSignature(tezos.BLS12381, point.Compress())
		require.NoError(t, err)
		require.ErrorIs(t, key.Verify(payload, sig), tezos.ErrBadSignature)
		require.ErrorIs(t, key.VerifyPossession(sig), tezos.ErrBadSignature)
	}
}

// order is that of G1 and G2, in little endian, as blst takes it.
func order(t testing.TB) []byte {
	t.Helper()
	r, ok := new(big.Int).SetString("73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001", 16)
	require.True(t, ok)
	b := r.Bytes()
	slices.Reverse(b)
	return b
}

// A point outside G2 whose part in G2 is nothing, so that a pairing might not see it: alone, and added to a valid
// signature. It is no signature before any pairing is looked at, since what pairings do outside the groups is
// nobody's promise.
func TestBLSSignatureWithACofactorPartIsNone(t *testing.T) {
	payload := vector(t, "bls attestation")
	key := newKeys(t)[3]
	valid := new(blst.P2Affine).Uncompress(key.sign(payload))
	var outside, sum blst.P2
	outside.FromAffine(pointOffG2(t))
	small := outside.Mult(order(t), 255)
	sum.FromAffine(valid)
	require.True(t, tezos.IsBLSSignature(valid.Compress()))
	for name, point := range map[string]*blst.P2Affine{
		"alone": small.ToAffine(), "with a signature": sum.Add(small).ToAffine(), "any": pointOffG2(t),
	} {
		require.False(t, point.InG2(), name)
		require.False(t, tezos.IsBLSSignature(point.Compress()), name)
	}
	infinity := make([]byte, 96)
	infinity[0] = 0xc0
	require.False(t, tezos.IsBLSSignature(infinity))
	require.False(t, tezos.IsBLSSignature(make([]byte, 96)))
	require.False(t, tezos.IsBLSSignature(valid.Compress()[:95]))
}

// A key with a part outside G1 would verify the signatures of the key without it: two keys, two addresses, one
// signature. It is none.
func TestBLSKeyWithACofactorPartIsNone(t *testing.T) {
	payload := vector(t, "bls attestation")
	key := newKeys(t)[3]
	good := new(blst.P1Affine).Uncompress(key.Bytes())
	var outside, sum blst.P1
	outside.FromAffine(new(blst.P1Affine).Uncompress(pointOffG1(t)))
	small := outside.Mult(order(t), 255)
	sum.FromAffine(good)
	twin := sum.Add(small).ToAffine()
	sig := new(blst.P2Affine).Uncompress(key.sign(payload))
	require.True(t, sig.Verify(true, twin, false, payload, []byte("BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")),
		"unless the key is looked at")
	infinity := make([]byte, 48)
	infinity[0] = 0xc0
	for name, raw := range map[string][]byte{
		"with a key": twin.Compress(), "alone": small.ToAffine().Compress(),
		"infinity": infinity,
	} {
		_, err := tezos.NewPublicKey(tezos.BLS12381, raw)
		require.Error(t, err, name)
	}
}

func TestBLSInfinityIsNoSignature(t *testing.T) {
	key := newKeys(t)[3]
	raw := make([]byte, 96)
	raw[0] = 0xc0
	sig, err := tezos.NewSignature(tezos.BLS12381, raw)
	require.NoError(t, err)
	require.ErrorIs(t, key.Verify(vector(t, "bls attestation"), sig), tezos.ErrBadSignature)
	require.ErrorIs(t, key.VerifyPossession(sig), tezos.ErrBadSignature)
}

// What the app of a Ledger was recorded to sign with its tz4 key is in the augmented scheme: refused, and told apart
// from a wrong signature.
func TestRecordedLedgerSignaturesAreAugmented(t *testing.T) {
	key, err := tezos.ParsePublicKey("BLpk1nM7vggxQLhzFiHiyVAbDvWt71JZV8sU28JAS7UnqmvKb4NnNmkAGo1LqPC4XYziTj3q9fpL")
	require.NoError(t, err)
	file, err := os.ReadFile("../../testdata/ledger/apdu-2.5.1-curve4-bls.txt")
	require.NoError(t, err)
	const signature, status = 2 * 96, "9000"
	var payload []byte
	count := 0
	for line := range strings.SplitSeq(string(file), "\n") {
		text, _, _ := strings.Cut(line, " #")
		if data, ok := strings.CutPrefix(text, "=> 800481"); ok {
			payload, err = hex.DecodeString(data[4:])
			require.NoError(t, err)
		}
		answer, ok := strings.CutPrefix(text, "<= ")
		if !ok || len(answer) != signature+len(status) || payload == nil || payload[0] == 0x03 {
			continue
		}
		raw, err := hex.DecodeString(answer[:signature])
		require.NoError(t, err)
		sig, err := tezos.NewSignature(tezos.BLS12381, raw)
		require.NoError(t, err)
		require.ErrorIs(t, key.Verify(payload, sig), tezos.ErrBadSignature)
		if key.OtherScheme(payload, sig) != "" { // else it is of the other key of the recording
			require.Equal(t, "augmented", key.OtherScheme(payload, sig))
			count++
		}
		require.Empty(t, key.OtherScheme(append([]byte{0}, payload...), sig))
	}
	require.Greater(t, count, 20)
}

// genericText is the text sig… of 64 bytes. Nothing in the package writes one: it is only read.
func genericText(t testing.TB, raw []byte) string {
	t.Helper()
	require.Len(t, raw, 64)
	b := append([]byte{4, 130, 43}, raw...)
	first := sha256.Sum256(b)
	second := sha256.Sum256(first[:])
	return base58.Encode(append(b, second[:4]...))
}
