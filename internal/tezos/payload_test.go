package tezos_test

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

func TestDecodeVectors(t *testing.T) {
	for _, row := range readPayloads(t) {
		for _, name := range row.Curves {
			t.Run(row.Name+"/"+name, func(t *testing.T) {
				require.NotEmpty(t, row.Source)
				req, err := tezos.Decode(curveOf(t, name), row.Payload)
				if row.Error != "" {
					requireField(t, row.Error, err)
					require.Zero(t, req)
					return
				}
				require.NoError(t, err)
				require.Equal(t, row.Kind, req.Kind.String())
				require.Equal(t, row.Level, req.Level)
				require.Equal(t, row.Round, req.Round)
				require.Equal(t, row.Warning, req.Warning)
				require.Equal(t, tezos.Mainnet, req.Chain)
				require.Equal(t, tezos.Digest(row.Payload), req.Digest)
			})
		}
	}
}

// requireField requires that err is a PayloadError about this field.
func requireField(t *testing.T, field string, err error) {
	t.Helper()
	require.ErrorIs(t, err, tezos.ErrPayload)
	var pe *tezos.PayloadError
	require.ErrorAs(t, err, &pe)
	require.Equal(t, field, pe.Field, pe.Detail)
	require.NotEmpty(t, pe.Detail)
}

func vector(t testing.TB, name string) []byte {
	t.Helper()
	for _, row := range readPayloads(t) {
		if row.Name == name {
			return row.Payload
		}
	}
	require.Failf(t, "no such vector", "%q", name)
	return nil
}

// The layout follows the key: every well-formed operation must be refused for a key of the other family, or the level
// would be read from the wrong place.
func TestOperationsOfTheOtherLayoutAreRefused(t *testing.T) {
	for _, name := range []string{"preattestation", "attestation", "attestation with dal"} {
		_, err := tezos.Decode(tezos.BLS12381, vector(t, name))
		requireField(t, "tag", err)
	}
	for _, name := range []string{"bls preattestation", "bls attestation"} {
		for _, curve := range []tezos.Curve{tezos.Ed25519, tezos.Secp256k1, tezos.P256} {
			_, err := tezos.Decode(curve, vector(t, name))
			requireField(t, "tag", err)
		}
	}
}

// Every byte that decides what is signed, changed to each value that it must not have.
func TestTagsAndMagics(t *testing.T) {
	p := vector(t, "attestation")
	for tag := range 256 {
		q := slices.Clone(p)
		q[37] = byte(tag)
		_, err := tezos.Decode(tezos.Ed25519, q)
		switch tag {
		case 0x15:
			require.NoError(t, err)
		case 0x17:
			requireField(t, "dal", err)
		default:
			requireField(t, "tag", err)
		}
	}
	for magic := range 256 {
		q := slices.Clone(p)
		q[0] = byte(magic)
		_, err := tezos.Decode(tezos.Ed25519, q)
		switch magic {
		case 0x11:
			require.Error(t, err)
		case 0x12:
			requireField(t, "tag", err)
		case 0x13:
			require.NoError(t, err)
		default:
			requireField(t, "magic", err)
		}
	}
}

// Every proper prefix of an operation is refused, and so is every longer one: cut or padded bytes are not what was
// meant.
func TestEveryOtherLengthOfAnOperationIsRefused(t *testing.T) {
	for _, name := range []string{
		"preattestation", "attestation", "attestation with dal", "bls preattestation",
		"bls attestation",
	} {
		p := vector(t, name)
		curve := tezos.P256
		if name[:3] == "bls" {
			curve = tezos.BLS12381
		}
		for n := range p {
			_, err := tezos.Decode(curve, p[:n])
			require.ErrorIs(t, err, tezos.ErrPayload, "%s cut to %d bytes", name, n)
		}
		for _, more := range [][]byte{{0x00}, {0x01}, {0x80, 0x01}} {
			_, err := tezos.Decode(curve, append(slices.Clone(p), more...))
			require.ErrorIs(t, err, tezos.ErrPayload, "%s followed by %x", name, more)
		}
	}
}

// Up to the end of the context hash a cut header is refused; what follows belongs to the protocol and gives a warning.
func TestCutBlocks(t *testing.T) {
	p := vector(t, "block round 0")
	const contextEnd = 83 + 4 + 33 + 32
	for n := range p {
		req, err := tezos.Decode(tezos.BLS12381, p[:n])
		if n < contextEnd {
			require.ErrorIs(t, err, tezos.ErrPayload, "cut to %d bytes", n)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, tezos.WarnBlockLayout, req.Warning)
		require.Equal(t, int32(8000000), req.Level)
	}
}

func TestFitness(t *testing.T) {
	const fit = 83 + 4 // where the fields of the fitness begin
	be := binary.BigEndian
	rows := []struct {
		name, field string
		change      func(p []byte)
	}{
		{"total length", "fitness", func(p []byte) { be.PutUint32(p[83:], 34) }},
		{"huge total length", "fitness", func(p []byte) { be.PutUint32(p[83:], 0xffffffff) }},
		{"length of the version", "fitness", func(p []byte) { be.PutUint32(p[fit:], 2) }},
		{"version", "fitness", func(p []byte) { p[fit+4] = 1 }},
		{"length of the level", "fitness", func(p []byte) { be.PutUint32(p[fit+5:], 5) }},
		{"huge length of the level", "fitness", func(p []byte) { be.PutUint32(p[fit+5:], 0xfffffffc) }},
		{"other level", "level", func(p []byte) { be.PutUint32(p[fit+9:], 8000002) }},
		{"negative level in the fitness", "level", func(p []byte) { be.PutUint32(p[fit+9:], 0x80000000) }},
		{"negative level in the header", "level", func(p []byte) { be.PutUint32(p[5:], 0xffffffff) }},
		{"length of the locked round", "fitness", func(p []byte) { be.PutUint32(p[fit+13:], 0) }},
		{"negative locked round", "locked round", func(p []byte) { be.PutUint32(p[fit+17:], 0xffffffff) }},
		{"locked round is the round", "locked round", func(p []byte) { be.PutUint32(p[fit+17:], 2) }},
		{"predecessor round not stored negative", "fitness", func(p []byte) { be.PutUint32(p[fit+25:], 0) }},
		{"negative round", "round", func(p []byte) { be.PutUint32(p[fit+33:], 0x80000000) }},
		{"payload round above the round", "payload round", func(p []byte) { be.PutUint32(p[fit+37+64:], 3) }},
		{"negative payload round", "payload round", func(p []byte) { be.PutUint32(p[fit+37+64:], 0xffffffff) }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := slices.Clone(vector(t, "block round 2, locked round 1, seed nonce"))
			_, err := tezos.Decode(tezos.Ed25519, p)
			require.NoError(t, err)
			row.change(p)
			req, err := tezos.Decode(tezos.Ed25519, p)
			requireField(t, row.field, err)
			require.Zero(t, req)
		})
	}
}

// A signer that took payload_round for the round refused reproposals, which costs blocks.
func TestRoundOfABlockIsThatOfItsFitness(t *testing.T) {
	req, err := tezos.Decode(tezos.BLS12381, vector(t, "reproposal: payload round 0, round 3"))
	require.NoError(t, err)
	require.Equal(t, int32(3), req.Round)
}

// The DAL bitset is a Zarith natural of any length, since Ushuaia long; every shape but the canonical one is refused.
func TestDALBitset(t *testing.T) {
	base := vector(t, "attestation with dal")[:80]
	long := make([]byte, 115)
	for i := range long {
		long[i] = 0x80
	}
	long[114] = 0x01
	for _, ok := range [][]byte{{0x00}, {0x7f}, {0x80, 0x20}, {0xff, 0xff, 0x01}, long} {
		_, err := tezos.Decode(tezos.Secp256k1, slices.Concat(base, ok))
		require.NoError(t, err, "%x", ok)
	}
	for _, wrong := range [][]byte{{}, {0x80}, {0x80, 0x00}, {0x00, 0x00}, {0x01, 0x01}, {0xff, 0x80}, long[:114]} {
		_, err := tezos.Decode(tezos.Secp256k1, slices.Concat(base, wrong))
		requireField(t, "dal", err)
	}
}
