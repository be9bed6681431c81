package node

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/internal/tezos"
)

// sample is a recorded block, in testdata/octez.
type sample struct {
	Source     string            `json:"source"`
	PublicKey  *tezos.PublicKey  `json:"public_key"`
	Header     json.RawMessage   `json:"header"`
	Metadata   json.RawMessage   `json:"metadata"`
	Operations []json.RawMessage `json:"operations"`
}

func readSample(t testing.TB, protocol string) sample {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "octez", "block-operations-"+protocol+".json"))
	require.NoError(t, err)
	var s sample
	require.NoError(t, json.Unmarshal(b, &s))
	require.NotEmpty(t, s.Source)
	return s
}

func pkh(t testing.TB, text string) tezos.PublicKeyHash {
	t.Helper()
	h, err := tezos.ParsePublicKeyHash(text)
	require.NoError(t, err)
	return h
}

func TestRecordedAggregate(t *testing.T) {
	ops, err := parseOperations(readSample(t, "seoul").Operations[0])
	require.NoError(t, err)
	require.Len(t, ops, 1)
	op := ops[0]
	require.Equal(t, tezos.Attestation, op.Kind)
	require.True(t, op.Aggregate)
	require.Equal(t, int32(109771), op.Level)
	require.Equal(t, int32(0), op.Round)
	require.Len(t, op.Signers, 5)
	require.Equal(t, Signer{
		Delegate: pkh(t, "tz1NNT9EERmcKekRq2vdv6e8TL3WQpY8AXSF"), Key: pkh(t, "tz4X5GCfEHQCUnrBy9Qo1PSsmExYHXxiEkvp"),
	}, op.Signers[0])
	require.Equal(t, op.Signers[2].Delegate, op.Signers[2].Key, "a tz4 baker without a consensus key")
}

// The payload that is built from a recorded operation is the one that was signed: the recorded signature verifies over
// it.
func TestPayloadOfARecordedAttestationVerifies(t *testing.T) {
	s := readSample(t, "paris")
	ops, err := parseOperations(s.Operations[0])
	require.NoError(t, err)
	chain, err := tezos.ParseChainID("NetXR64bNAYkP4S")
	require.NoError(t, err)
	require.Equal(t, s.PublicKey.Hash(), ops[0].Signers[0].Key)
	require.NoError(t, s.PublicKey.Verify(ops[0].Payload(chain, tezos.P256), ops[0].Signature))
	require.Error(t, s.PublicKey.Verify(ops[0].Payload(tezos.Mainnet, tezos.P256), ops[0].Signature))

	require.Equal(t, int64(0), ops[1].DAL.Int64())
	payload := ops[1].Payload(chain, tezos.Ed25519)
	require.Equal(t, byte(0x17), payload[37])
	require.Len(t, payload, 81)
}

func TestRecordedHeadersAndMakers(t *testing.T) {
	for _, protocol := range []string{"paris", "ushuaia"} {
		s := readSample(t, protocol)
		h, err := parseHeader(s.Header)
		require.NoError(t, err)
		m, err := parseMakers(s.Metadata)
		require.NoError(t, err)
		ops, err := parseOperations(s.Operations[0])
		require.NoError(t, err)
		require.Len(t, ops, 2)
		require.Equal(t, h.Level-1, ops[0].Level, "attestations are of the level before")
		require.Equal(t, m.Baker, m.Proposer)
	}
	h, err := parseHeader(readSample(t, "ushuaia").Header)
	require.NoError(t, err)
	require.Equal(t, int32(15267099), h.Level)
	require.Equal(t, "BL3VYmBvHWyCBrdeNDMR5TVEec3iV4aPetrELbi4BqcZdNv5MiY", h.Predecessor.BlockHash())
	require.Equal(t, time.Date(2026, 10, 7, 8, 19, 19, 0, time.UTC), h.Timestamp)
}

// swap changes one thing in a recorded answer, which must be there.
func swap(t *testing.T, b []byte, old, with string) []byte {
	t.Helper()
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, b))
	require.Contains(t, compact.String(), old)
	return []byte(strings.ReplaceAll(compact.String(), old, with))
}

func TestImpossibleOperationsAreRefused(t *testing.T) {
	seoul, paris := readSample(t, "seoul").Operations[0], readSample(t, "paris").Operations[0]
	for name, c := range map[string]struct {
		in        []byte
		old, with string
	}{
		"negative level":   {seoul, `"level":109771`, `"level":-1`},
		"level of 64 bits": {seoul, `"level":109771`, `"level":4294967297`},
		"level as text":    {seoul, `"level":109771`, `"level":"109771"`},
		"no level":         {seoul, `"level":109771,`, ``},
		"no round":         {seoul, `"round":0,`, ``},
		"negative round":   {paris, `"round":0`, `"round":-1`},
		"payload hash of a block": {
			seoul, `vh3RiisbNp7QBvLkJ6HAyoYfMh4AoZLcJFVE5M34LLKnwAWTRv6J`,
			`BLwNFCbHuF21bF4S9KybZd52si5QQG6k29mQTshbY7fVnehrxbh`,
		},
		"branch mistyped": {seoul, `BLwNFCbHuF21b`, `BLwNFCbHuF22b`},
		"branch of another kind": {
			seoul, `BLwNFCbHuF21bF4S9KybZd52si5QQG6k29mQTshbY7fVnehrxbh`,
			`vh3RiisbNp7QBvLkJ6HAyoYfMh4AoZLcJFVE5M34LLKnwAWTRv6J`,
		},
		"unknown kind":            {seoul, `attestations_aggregate`, `attestations_of_tomorrow`},
		"key mistyped":            {seoul, `tz4X5GCfEHQC`, `tz4X5GCfEHQD`},
		"member without a key":    {seoul, `"consensus_pkh":"tz4X5GCfEHQCUnrBy9Qo1PSsmExYHXxiEkvp",`, ``},
		"fewer slots than keys":   {seoul, `{"slot":15},`, ``},
		"metadata too large":      {paris, `"metadata":{`, `"other":{`},
		"content too short":       {paris, `"slot":0,`, ``},
		"slot of 17 bits":         {paris, `"slot":0,`, `"slot":65536,`},
		"no DAL":                  {paris, `"dal_attestation":"0",`, ``},
		"negative DAL":            {paris, `"dal_attestation":"0"`, `"dal_attestation":"-1"`},
		"endless DAL":             {paris, `"dal_attestation":"0"`, `"dal_attestation":"` + strings.Repeat("1", 500) + `"`},
		"two contents":            {paris, `"contents":[`, `"contents":[{},`},
		"no signature":            {paris, `"signature":"sig`, `"signatures":"sig`},
		"no list":                 {[]byte(`[]`), `[]`, `null`},
		"something behind":        {paris, `"}]`, `"}] x`},
		"an object":               {[]byte(`[]`), `[]`, `{}`},
		"a list that is too long": {[]byte(`[]`), `[]`, `[` + strings.Repeat(`{},`, maxOps) + `{}]`},
	} {
		ops, err := parseOperations(swap(t, c.in, c.old, c.with))
		require.Error(t, err, name)
		require.Nil(t, ops, name)
	}
}

func TestUnknownFieldsAndOldNamesAreFine(t *testing.T) {
	paris := readSample(t, "paris").Operations[0]
	want, err := parseOperations(paris)
	require.NoError(t, err)
	for old, with := range map[string]string{
		`"slot":0`:            `"slot":0,"colour":"green"`,
		`"kind":"attestation`: `"kind":"endorsement`,
		`,"consensus_key":"tz3Q67aMz7gSMiQRcW729sXSfuMtkyAHYfqc"`: ``, // before Lima
	} {
		in := swap(t, paris, old, with)
		got, err := parseOperations(in)
		require.NoError(t, err, with)
		require.Equal(t, want, got, with)
	}
}

func TestImpossibleHeadersAreRefused(t *testing.T) {
	good := readSample(t, "ushuaia").Header
	for name, c := range map[string][2]string{
		"level differs from fitness": {`"level":15267099`, `"level":15267098`},
		"negative level":             {`"level":15267099`, `"level":-1`},
		"no hash":                    {`"hash":"BL6e`, `"hush":"BL6e`},
		"four fields of fitness":     {`"02",`, ``},
		"fitness of old":             {`"02"`, `"01"`},
		"round of three bytes":       {`"00000000"]`, `"000000"]`},
		"negative round":             {`"00000000"]`, `"ffffffff"]`},
		"no time":                    {`2026-10-07T08:19:19Z`, `yesterday`},
		"operation as predecessor": {
			`BL3VYmBvHWyCBrdeNDMR5TVEec3iV4aPetrELbi4BqcZdNv5MiY`, `oojZ8vVkrVTSty9z8L28zccu3d7PUQZ2vtspLtXpuyeNPGuTBiw`,
		},
	} {
		h, err := parseHeader(swap(t, good, c[0], c[1]))
		require.Error(t, err, name)
		require.Zero(t, h, name)
	}
	h, err := parseHeader(swap(t, good, `"00000000"]`, `"00000102"]`))
	require.NoError(t, err)
	require.Equal(t, int32(258), h.Round)
}

func TestRights(t *testing.T) {
	baking, err := parseBakingRights([]byte(`[{"level":5,"delegate":"tz1NNT9EERmcKekRq2vdv6e8TL3WQpY8AXSF","round":2,
		"estimated_time":"2026-01-02T03:04:05Z","consensus_key":"tz4X5GCfEHQCUnrBy9Qo1PSsmExYHXxiEkvp"},
		{"level":6,"delegate":"tz1NNT9EERmcKekRq2vdv6e8TL3WQpY8AXSF","round":0}]`))
	require.NoError(t, err)
	require.Len(t, baking, 2)
	require.Equal(t, pkh(t, "tz4X5GCfEHQCUnrBy9Qo1PSsmExYHXxiEkvp"), baking[0].Key)
	require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), baking[0].Estimated)
	require.True(t, baking[1].Estimated.IsZero())

	// As Octez's documentation prints it.
	attesting, err := parseAttestationRights([]byte(`[ { "level": 9484, "delegates": [ { "delegate": "tz1Zs6zjxtLxmff51tK2AVgvm4PNmdNhLcHE",
		"first_slot": 280, "attestation_power": 58, "consensus_key": "tz1Zs6zjxtLxmff51tK2AVgvm4PNmdNhLcHE" } ] } ]`))
	require.NoError(t, err)
	me := pkh(t, "tz1Zs6zjxtLxmff51tK2AVgvm4PNmdNhLcHE")
	require.Equal(t, []AttestationRight{{Signer: Signer{me, me}, Level: 9484}}, attesting)

	for _, bad := range []string{
		`{}`, `null`, `[{}]`,
		`[{"level":-1,"round":0,"delegate":"tz1Zs6zjxtLxmff51tK2AVgvm4PNmdNhLcHE","delegates":[]}]`,
	} {
		_, err = parseBakingRights([]byte(bad))
		require.Error(t, err, bad)
		_, err = parseAttestationRights([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestVersionAndSync(t *testing.T) {
	v, err := parseVersion([]byte(`{"version":{"major":24,"minor":1,"build":0,"additional_info":{"rc":2}},
		"network_version":{"chain_name":"TEZOS_MAINNET"},"commit_info":{"commit_hash":"abc"}}`))
	require.NoError(t, err)
	require.Equal(t, `octez 24.1 ({"rc":2})`, v.String())
	v, err = parseVersion([]byte(`{"version":{"major":24,"minor":1,"additional_info":"release"}}`))
	require.NoError(t, err)
	require.Equal(t, "octez 24.1", v.String())
	_, err = parseVersion([]byte(`{}`))
	require.Error(t, err)

	s, err := parseSync([]byte(`{"bootstrapped":true,"sync_state":"stuck"}`))
	require.NoError(t, err)
	require.True(t, s.Bootstrapped)
	require.False(t, s.Synced())
	for _, bad := range []string{
		`{}`, `{"bootstrapped":true}`, `{"sync_state":"synced"}`,
		`{"bootstrapped":true,"sync_state":"asleep"}`,
	} {
		_, err = parseSync([]byte(bad))
		require.Error(t, err, bad)
	}
}

func TestNaturals(t *testing.T) {
	for n, want := range map[string]string{"0": "00", "1": "01", "127": "7f", "128": "8001", "16384": "808001"} {
		v, ok := new(big.Int).SetString(n, 10)
		require.True(t, ok)
		require.Equal(t, want, hex.EncodeToString(appendNatural(nil, v)))
	}
}

func TestBlockPayload(t *testing.T) {
	raw := bytes.Repeat([]byte{7}, 300)
	payload, sig, err := BlockPayload(tezos.Mainnet, tezos.BLS12381, raw)
	require.NoError(t, err)
	require.Len(t, payload, 5+204)
	require.Len(t, sig.Bytes(), 96)
	require.Equal(t, []byte{0x11, 0x7a, 0x06, 0xa7, 0x70, 7}, payload[:6])
	_, _, err = BlockPayload(tezos.Mainnet, tezos.Ed25519, raw[:64])
	require.Error(t, err)
}
