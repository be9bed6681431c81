package tezos_test

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// FuzzTexts gives one text to every base58check parser: what is read is written again as the same text, and an error
// leaves zero.
func FuzzTexts(f *testing.F) {
	v := readKeys(f)
	for _, row := range v.Keys {
		f.Add(row.PublicKey)
		f.Add(row.PKH)
	}
	for _, row := range v.Signatures {
		f.Add(row.Signature)
	}
	for _, text := range []string{
		"NetXdQprcVkpaWU", "BLwNFCbHuF21bF4S9KybZd52si5QQG6k29mQTshbY7fVnehrxbh",
		"ooqgVxC8XDYHXSnznWSdkXktgUaA2PZdUs4azRbco9i6fhiY1ui", "vh3RiisbNp7QBvLkJ6HAyoYfMh4AoZLcJFVE5M34LLKnwAWTRv6J",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed := 0
		if h, err := tezos.ParsePublicKeyHash(text); err == nil {
			require.Equal(t, text, h.String())
			parsed++
		} else {
			require.Zero(t, h)
		}
		if c, err := tezos.ParseChainID(text); err == nil {
			require.Equal(t, text, c.String())
			parsed++
		} else {
			require.Zero(t, c)
		}
		if h, err := tezos.ParseHash32(text); err == nil {
			require.Contains(t, []string{h.BlockHash(), h.OperationHash(), h.PayloadHash()}, text)
			parsed++
		} else {
			require.Zero(t, h)
		}
		if k, err := tezos.ParsePublicKey(text); err == nil {
			require.Equal(t, text, k.String())
			parsed++
		} else {
			require.Nil(t, k)
		}
		if s, err := tezos.ParseSignature(text); err == nil {
			require.Equal(t, text, s.String())
			require.False(t, s.IsZero())
			parsed++
		} else {
			require.Zero(t, s)
		}
		require.LessOrEqual(t, parsed, 1, "a text is of one kind")
	})
}

func FuzzPublicKeyHashFromBytes(f *testing.F) {
	f.Add(make([]byte, tezos.PublicKeyHashLen))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := tezos.PublicKeyHashFromBytes(raw)
		if err != nil {
			require.Zero(t, h)
			return
		}
		require.Equal(t, raw, h.Bytes())
		again, err := tezos.ParsePublicKeyHash(h.String())
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}

func FuzzNewPublicKey(f *testing.F) {
	for _, row := range readKeys(f).Keys {
		f.Add(byte(curveOf(f, row.Curve)), []byte(row.Raw))
	}
	f.Fuzz(func(t *testing.T, curve byte, raw []byte) {
		key, err := tezos.NewPublicKey(tezos.Curve(curve), raw)
		if err != nil {
			require.ErrorIs(t, err, tezos.ErrBadKey)
			require.Nil(t, key)
			return
		}
		require.Equal(t, raw, key.Bytes())
		again, err := tezos.ParsePublicKey(key.String())
		require.NoError(t, err)
		require.Equal(t, key.Hash(), again.Hash())
	})
}

// FuzzVerify changes signatures and payloads at will under one recorded key of each curve: whatever verifies must be
// a signature that was recorded. (For P-256 the other square root verifies too.)
func FuzzVerify(f *testing.F) {
	vectors := readKeys(f)
	keys := vectors.keysByHash(f)
	recorded := make(map[string]bool)
	var signers []*tezos.PublicKey
	for _, row := range vectors.Signatures {
		f.Add(byte(len(signers)), []byte(row.Payload), []byte(row.Raw))
		signers = append(signers, keys[row.PKH])
		recorded[row.PKH+string(row.Payload)+string(row.Raw)] = row.Scheme == ""
	}
	f.Fuzz(func(t *testing.T, which byte, payload, raw []byte) {
		key := signers[int(which)%len(signers)]
		sig, err := tezos.NewSignature(key.Curve(), raw)
		if err != nil {
			require.True(t, sig.IsZero())
			return
		}
		require.Equal(t, raw, sig.Bytes())
		if err = key.Verify(payload, sig); err != nil {
			require.ErrorIs(t, err, tezos.ErrBadSignature)
			return
		}
		require.True(t, key.Curve() == tezos.P256 || recorded[key.Hash().String()+string(payload)+string(raw)])
	})
}

// FuzzDecode: what decodes has a level and a round that are not negative, and they are those that stand in the bytes
// at the place of the layout, which is computed here once more in another way.
func FuzzDecode(f *testing.F) {
	for _, row := range readPayloads(f) {
		for _, name := range row.Curves {
			f.Add(byte(curveOf(f, name)), []byte(row.Payload))
		}
	}
	f.Fuzz(func(t *testing.T, curve byte, p []byte) {
		req, err := tezos.Decode(tezos.Curve(curve), p)
		if err != nil {
			require.ErrorIs(t, err, tezos.ErrPayload)
			var pe *tezos.PayloadError
			require.ErrorAs(t, err, &pe)
			require.Zero(t, req)
			return
		}
		require.LessOrEqual(t, curve, byte(tezos.BLS12381))
		require.Equal(t, p[0], byte(req.Kind))
		require.Equal(t, p[1:5], req.Chain[:])
		require.Equal(t, tezos.Digest(p), req.Digest)
		require.GreaterOrEqual(t, req.Level, int32(0))
		require.GreaterOrEqual(t, req.Round, int32(0))
		levelAt, roundAt := 40, 44
		switch {
		case req.Kind == tezos.Block:
			levelAt, roundAt = 5, 83+int(binary.BigEndian.Uint32(p[83:]))
		case tezos.Curve(curve) == tezos.BLS12381:
			require.Len(t, p, 78)
			levelAt, roundAt = 38, 42
		}
		require.Equal(t, uint32(req.Level), binary.BigEndian.Uint32(p[levelAt:]))
		require.Equal(t, uint32(req.Round), binary.BigEndian.Uint32(p[roundAt:]))
	})
}
