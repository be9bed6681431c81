package tezos_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

func TestChainIDs(t *testing.T) {
	for _, text := range []string{"NetXdQprcVkpaWU", "NetXnHfVqm9iesp", "NetXd56aBs1aeW3"} {
		id, err := tezos.ParseChainID(text)
		require.NoError(t, err)
		require.Equal(t, text, id.String())
		require.Equal(t, text == "NetXdQprcVkpaWU", id == tezos.Mainnet)
	}
	_, err := tezos.ParseChainID("tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6E")
	require.ErrorIs(t, err, tezos.ErrBase58)
}

// The texts are those of one attestation operation of the Seoul test network.
func TestHash32(t *testing.T) {
	rows := []struct {
		text string
		show func(tezos.Hash32) string
	}{
		{"BLwNFCbHuF21bF4S9KybZd52si5QQG6k29mQTshbY7fVnehrxbh", tezos.Hash32.BlockHash},
		{"ooqgVxC8XDYHXSnznWSdkXktgUaA2PZdUs4azRbco9i6fhiY1ui", tezos.Hash32.OperationHash},
		{"vh3RiisbNp7QBvLkJ6HAyoYfMh4AoZLcJFVE5M34LLKnwAWTRv6J", tezos.Hash32.PayloadHash},
	}
	for _, row := range rows {
		h, err := tezos.ParseHash32(row.text)
		require.NoError(t, err)
		require.Equal(t, row.text, row.show(h))
	}
	_, err := tezos.ParseHash32("NetXdQprcVkpaWU")
	require.ErrorIs(t, err, tezos.ErrBase58)
}

func TestPublicKeyHashBytes(t *testing.T) {
	for _, row := range readKeys(t).Keys {
		h, err := tezos.ParsePublicKeyHash(row.PKH)
		require.NoError(t, err)
		require.Equal(t, curveOf(t, row.Curve), h.Curve)
		b := h.Bytes()
		require.Len(t, b, tezos.PublicKeyHashLen)
		require.Equal(t, byte(h.Curve), b[0])
		again, err := tezos.PublicKeyHashFromBytes(b)
		require.NoError(t, err)
		require.Equal(t, h, again)
	}
	for _, b := range [][]byte{nil, make([]byte, 20), make([]byte, 22), append([]byte{5}, make([]byte, 20)...)} {
		h, err := tezos.PublicKeyHashFromBytes(b)
		require.Error(t, err)
		require.Zero(t, h)
	}
}

func TestTz5IsRecognisedAndExplained(t *testing.T) {
	text := tezos.PublicKeyHash{Curve: tezos.MLDSA44, Hash: [20]byte{1, 2, 3}}.String()
	require.Regexp(t, "^tz5", text)
	h, err := tezos.ParsePublicKeyHash(text)
	require.NoError(t, err)
	require.Equal(t, tezos.MLDSA44, h.Curve)

	_, err = tezos.NewPublicKey(h.Curve, make([]byte, 1312))
	require.ErrorIs(t, err, tezos.ErrBadKey)
	require.ErrorContains(t, err, "ML-DSA-44 (tz5)")
	_, err = tezos.NewSignature(h.Curve, make([]byte, 2420))
	require.ErrorContains(t, err, "ML-DSA-44")
	_, err = tezos.Decode(h.Curve, []byte{0x11})
	requireField(t, "curve", err)
	require.ErrorContains(t, err, "tz5")
}

func TestTextForms(t *testing.T) {
	type all struct {
		PKH   tezos.PublicKeyHash `json:"pkh"`
		Chain tezos.ChainID       `json:"chain"`
		Kind  tezos.Kind          `json:"kind"`
		Sig   tezos.Signature     `json:"sig"`
		Key   *tezos.PublicKey    `json:"key"`
	}
	const text = `{"pkh":"tz2GB5YHqF4UzQ8GP5yUqdhY9oVWRXCY2hPU","chain":"NetXdQprcVkpaWU","kind":"preattestation",` +
		`"sig":"sigREwM1SuRN5WzjH5xGJuyeZQ9kWi8XtbA4wRqGTumJwNY18PmF1XQMLCXEQBr4frnriKHWdPUynF1vGUvPcoWrNjb3s5xp",` +
		`"key":"sppk7bVy617DmGvXsMqcwsiLtnedTN2trUi5ugXcNig7en4rHJyunK1"}`
	var v all
	require.NoError(t, json.Unmarshal([]byte(text), &v))
	require.Equal(t, v.PKH, v.Key.Hash())
	b, err := json.Marshal(v)
	require.NoError(t, err)
	require.JSONEq(t, text, string(b))

	for _, field := range []string{"pkh", "chain", "kind", "sig", "key"} {
		var w all
		require.Error(t, json.Unmarshal([]byte(`{"`+field+`":"block "}`), &w), field)
		if w.Key != nil {
			require.Zero(t, *w.Key)
			w.Key = nil
		}
		require.Zero(t, w, field)
	}
}

func TestWhatHasNoTextIsNotWritten(t *testing.T) {
	_, err := json.Marshal(tezos.Kind(0))
	require.Error(t, err)
	_, err = json.Marshal(tezos.Kind(0x03))
	require.Error(t, err)
	_, err = json.Marshal(tezos.PublicKeyHash{Curve: 9})
	require.Error(t, err)
}

func TestKinds(t *testing.T) {
	for _, k := range tezos.Kinds {
		parsed, err := tezos.ParseKind(k.String())
		require.NoError(t, err)
		require.Equal(t, k, parsed)
	}
	for _, text := range []string{"", "Block", "endorsement", "attestation_with_dal", "kind(0x11)"} {
		_, err := tezos.ParseKind(text)
		require.ErrorContains(t, err, "the kinds are", text)
	}
}

func TestOnlyTz1AndTz4AreDeterministic(t *testing.T) {
	for c := tezos.Ed25519; c <= tezos.MLDSA44; c++ {
		require.Equal(t, c == tezos.Ed25519 || c == tezos.BLS12381, c.Deterministic(), c)
	}
}
