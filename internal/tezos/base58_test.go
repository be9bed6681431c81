package tezos

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The length of a text is the same for every payload, since the prefixes were chosen so.
var formatRows = []struct {
	format
	start  string
	length int
}{
	{formatEd25519Hash, "tz1", 36},
	{formatSecp256k1Hash, "tz2", 36},
	{formatP256Hash, "tz3", 36},
	{formatBLSHash, "tz4", 36},
	{formatMLDSA44Hash, "tz5", 36},
	{formatEd25519Key, "edpk", 54},
	{formatSecp256k1Key, "sppk", 55},
	{formatP256Key, "p2pk", 55},
	{formatBLSKey, "BLpk", 76},
	{formatEd25519Sig, "edsig", 99},
	{formatSecp256k1Sig, "spsig1", 99},
	{formatP256Sig, "p2sig", 98},
	{formatGenericSig, "sig", 96},
	{formatBLSSig, "BLsig", 142},
	{formatChainID, "Net", 15},
	{formatBlockHash, "B", 51},
	{formatOpHash, "o", 51},
	{formatPayloadHash, "vh", 52},
}

// allFormats is every row of the table, for a decoder that must tell them apart.
func allFormats() (all []format) {
	for _, row := range formatRows {
		all = append(all, row.format)
	}
	return all
}

func TestFormatsHaveTheirPrefixAndLength(t *testing.T) {
	for _, row := range formatRows {
		for _, fill := range []byte{0x00, 0xff} {
			text := row.encode(bytes.Repeat([]byte{fill}, row.size))
			require.True(t, strings.HasPrefix(text, row.start), "%s: %s", row.name, text)
			require.Len(t, text, row.length, row.name)
			require.LessOrEqual(t, len(text), maxText)
		}
	}
}

func TestFormatsRoundTrip(t *testing.T) {
	all := allFormats()
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.IntRange(0, len(all)-1).Draw(t, "format")
		payload := rapid.SliceOfN(rapid.Byte(), all[want].size, all[want].size).Draw(t, "payload")
		i, raw, err := decodeAs(all[want].encode(payload), all...)
		require.NoError(t, err)
		require.Equal(t, want, i)
		require.Equal(t, payload, raw)
	})
}

func TestOneChangedCharacterIsRefused(t *testing.T) {
	const text = "tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6E"
	for i := range text {
		for _, c := range "1Az" {
			if changed := text[:i] + string(c) + text[i+1:]; changed != text {
				_, _, err := decodeAs(changed, allFormats()...)
				require.ErrorIs(t, err, ErrBase58, changed)
			}
		}
	}
}

func TestNotBase58Check(t *testing.T) {
	longest := formatBLSSig.encode(make([]byte, 96))
	empty := checksum(nil)
	rows := map[string]struct{ text, says string }{
		"empty":              {"", "is empty"},
		"one character":      {"t", "too short"},
		"short":              {"tz1", "too short"},
		"digit outside":      {"tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME60", "invalid base58 digit"},
		"space in front":     {" tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6E", "invalid base58 digit"},
		"newline at the end": {"tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6E\n", "invalid base58 digit"},
		"not ascii":          {"tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME６E", "high-bit"},
		"a lost character":   {"tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6", "checksum"},
		"a leading zero":     {"1tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6E", "checksum"},
		"zeros only":         {strings.Repeat("1", 36), "checksum"},
		"too long":           {longest + longest, "284 characters, the longest has 256"},
		"huge":               {strings.Repeat("z", 1<<20), "1048576 characters"},
		"another kind": {
			formatChainID.encode(Mainnet[:]),
			"is not of the expected kind: ed25519 public key hash (tz1), secp256k1",
		},
		"cut payload":    {formatEd25519Hash.encode(make([]byte, 19)), "is not of the expected kind"},
		"longer payload": {formatEd25519Hash.encode(make([]byte, 21)), "is not of the expected kind"},
		"checksum alone": {base58.Encode(empty[:]), "is not of the expected kind"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			i, raw, err := decodeAs(row.text, hashFormats...)
			require.ErrorIs(t, err, ErrBase58)
			require.ErrorContains(t, err, row.says)
			require.Less(t, len(err.Error()), 400, "an error is a line, whatever was given")
			require.Zero(t, i)
			require.Nil(t, raw)
		})
	}
}
