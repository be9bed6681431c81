package ledger

import (
	"crypto/elliptic"
	"errors"
	"fmt"
	"math/big"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/stretchr/testify/require"

	"highwater/internal/device"
	"highwater/internal/tezos"
)

func TestLocators(t *testing.T) {
	for text, want := range map[string]Locator{
		"ledger://calculating-meerkat-straight-beetle/ed25519/0h/0h": {Curve: Ed25519, Path: DefaultPath},
		"ledger://calculating-meerkat-straight-beetle/P-256/0'/1'": {
			Curve: P256,
			Path:  append(Root[:2:2], Hardened, 1|Hardened),
		},
		"ledger://calculating-meerkat-straight-beetle/secp256k1/0/0": {Curve: Secp256k1, Path: append(Root[:2:2], 0, 0)},
		"ledger://calculating-meerkat-straight-beetle/bip25519/0h":   {Curve: BIP25519, Path: append(Root[:2:2], Hardened)},
		"ledger://calculating-meerkat-straight-beetle/0h/0h":         {Curve: Ed25519, Path: DefaultPath},
		"ledger://calculating-meerkat-straight-beetle/ed25519":       {Curve: Ed25519, Path: Root},
	} {
		want.Device = "calculating-meerkat-straight-beetle"
		l, err := ParseLocator(text)
		require.NoError(t, err, text)
		require.Equal(t, want, l)
	}
	for _, text := range []string{
		"", "http://a-b-c-d/ed25519/0h", "ledger:///ed25519/0h", "ledger://a-b-c/ed25519/0h", "ledger://a-b-C-d/ed25519/0h",
		"ledger://a-b-c-d/ed25519/0/0", "ledger://a-b-c-d/ed448/0h/0h",
		"ledger://a-b-c-d/P-256/0hh", "ledger://a-b-c-d/P-256/-1",
		"ledger://a-b-c-d/P-256/2147483648", "ledger://a-b-c-d/P-256/1/2/3/4/5/6/7/8/9", "ledger://a-b-c-d/P-256//",
	} {
		_, err := ParseLocator(text)
		require.ErrorIs(t, err, ErrBadLocator, text)
	}
}

// TestHighSBecomesLow mirrors s, which is the same signature for ECDSA, on both curves: octez refuses a high s for
// secp256k1.
func TestHighSBecomesLow(t *testing.T) {
	for curve, n := range map[Curve]*big.Int{Secp256k1: secp256k1.Params().N, P256: elliptic.P256().Params().N} {
		low := make([]byte, 64)
		low[31], low[63] = 7, 9
		high := append([]byte{}, low...)
		new(big.Int).Sub(n, big.NewInt(9)).FillBytes(high[32:])
		der := toDER(high)
		der[0] |= 1
		raw, err := parseDER(curve, der)
		require.NoError(t, err)
		require.Equal(t, low, raw, "%s", curve)
	}
}

// TestAnswerToAnotherPayload holds that a signature is only taken together with the digest of what was asked for.
func TestAnswerToAnotherPayload(t *testing.T) {
	asked, other := tezos.Digest([]byte{1}), tezos.Digest([]byte{2})
	sig, err := parseSignature(Ed25519, asked, append(asked[:], make([]byte, 64)...))
	require.NoError(t, err)
	require.False(t, sig.IsZero())
	for _, answer := range [][]byte{
		append(other[:], make([]byte, 64)...), make([]byte, 64), nil, asked[:], append(asked[:],
			make([]byte, 63)...), append(asked[:], make([]byte, 65)...),
	} {
		sig, err = parseSignature(Ed25519, asked, answer)
		require.ErrorIs(t, err, ErrBadAnswer)
		require.True(t, sig.IsZero())
	}
}

func TestEveryStatusHasAdvice(t *testing.T) {
	for _, s := range []Status{
		StatusRejected, StatusSecurity, StatusWrongValues, StatusNoKey, StatusWrongParam,
		StatusWrongLength, StatusNoIns, StatusNoClass,
		StatusNoClass1, StatusNotReady, StatusCrypto, StatusMemory, StatusParse, StatusLocked,
		StatusDashboard, StatusMainnet, 0x1234,
	} {
		err := command{name: "SIGN"}.statusError(s)
		require.NotEmpty(t, err.Hint, "%04x", uint16(s))
		require.NotEmpty(t, err.Health)
		require.ErrorContains(t, err, fmt.Sprintf("%04x", uint16(s)))
		require.Equal(t, s, statusOf(err))
		require.Equal(t, s.known(), s != 0x1234)
		// What the device refused for good is never asked again; what a user can cure is.
		if errors.Is(err, device.ErrRefused) {
			require.False(t, err.Retry)
		}
	}
}
