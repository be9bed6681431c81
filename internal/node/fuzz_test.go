package node

import (
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// FuzzOperations: what is read has positions that are not negative, and the payload built for each signer decodes, with
// the strict decoder of the sign path, to the same kind, level and round. An error leaves nothing.
func FuzzOperations(f *testing.F) {
	for _, protocol := range []string{"paris", "seoul", "ushuaia"} {
		f.Add([]byte(readSample(f, protocol).Operations[0]))
	}
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		ops, err := parseOperations(b)
		if err != nil {
			require.Nil(t, ops)
			return
		}
		require.LessOrEqual(t, len(ops), maxOps)
		for _, op := range ops {
			require.LessOrEqual(t, len(op.Signers), maxCommittee)
			for _, s := range op.Signers {
				if s.Key.Curve > tezos.BLS12381 {
					continue // a tz5 key can be no consensus key
				}
				req, err := tezos.Decode(s.Key.Curve, op.Payload(tezos.Mainnet, s.Key.Curve))
				require.NoError(t, err)
				require.Equal(t, op.Kind, req.Kind)
				require.Equal(t, op.Level, req.Level)
				require.Equal(t, op.Round, req.Round)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(readSample(f, "paris").Header))
	f.Add([]byte(readSample(f, "ushuaia").Header))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			require.Zero(t, h)
			return
		}
		require.GreaterOrEqual(t, h.Level, int32(0))
		require.GreaterOrEqual(t, h.Round, int32(0))
		again, err := tezos.ParseHash32(h.Hash.BlockHash())
		require.NoError(t, err)
		require.Equal(t, h.Hash, again)
	})
}

// FuzzSmall gives one text to the parsers of small answers.
func FuzzSmall(f *testing.F) {
	f.Add([]byte(readSample(f, "paris").Metadata))
	for _, s := range []string{
		`{"level":9484,"cycle":79,"cycle_position":3}`, `{"first":9481,"last":9600}`, `{"first":2,"last":1}`,
		`"NetXdQprcVkpaWU"`, `"00ff"`, `{"bootstrapped":true,"sync_state":"synced"}`,
		`{"version":{"major":24,"minor":1,"additional_info":{"rc":2}},"commit_info":{"commit_hash":"abc"}}`,
		`{"protocol":"PsUshuai9QapM5TGj1JpuVGkdxz5GykdnEvS6Rh8SUVrARvZLCY","next_protocol":"PsUshuai9QapM5TGj1JpuVGkdxz5GykdnEvS6Rh8SUVrARvZLCY"}`,
		`[{"level":6,"delegate":"tz1NNT9EERmcKekRq2vdv6e8TL3WQpY8AXSF","round":0}]`,
		`[{"level":9484,"delegates":[{"delegate":"tz1Zs6zjxtLxmff51tK2AVgvm4PNmdNhLcHE","first_slot":280}]}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := parseChainID(b); err != nil {
			require.Zero(t, c)
		}
		if m, err := parseMakers(b); err != nil {
			require.Zero(t, m)
		}
		if s, err := parseSync(b); err != nil {
			require.Zero(t, s)
		}
		if v, err := parseVersion(b); err != nil {
			require.Zero(t, v)
		}
		if p, err := parseProtocols(b); err != nil {
			require.Zero(t, p)
		} else {
			require.LessOrEqual(t, max(len(p.Current.String()), len(p.Next.String())), 80)
		}
		if cycle, err := parseCycle(b); err != nil {
			require.Zero(t, cycle)
		}
		if l, err := parseLevels(b); err != nil {
			require.Zero(t, l)
		} else {
			require.LessOrEqual(t, l.First, l.Last)
		}
		if raw, err := parseHex(b); err != nil {
			require.Nil(t, raw)
		}
		require.LessOrEqual(t, len(errorText(b)), maxErrorText+len("…")+2)
		baking, err := parseBakingRights(b)
		require.True(t, err == nil || baking == nil)
		for _, r := range baking {
			require.GreaterOrEqual(t, min(r.Level, r.Round), int32(0))
		}
		attesting, err := parseAttestationRights(b)
		require.True(t, err == nil || attesting == nil)
		require.LessOrEqual(t, len(attesting), maxRightsRows)
	})
}
