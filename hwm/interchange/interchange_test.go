package interchange_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"highwater/hwm/interchange"
	"highwater/internal/tezos"
)

const (
	tz1 = "tz1dyX3B1CFYa2DfdFLyPtiJCfQRUgPVME6E"
	tz4 = "tz4Gk6EphzZnu84iEGMV24qwU38vrXSxtw7L"
)

var ghostnet = chainID("NetXnHfVqm9iesp")

func chainID(text string) tezos.ChainID {
	c, err := tezos.ParseChainID(text)
	if err != nil {
		panic(err)
	}
	return c
}

func pkh(t testing.TB, text string) tezos.PublicKeyHash {
	t.Helper()
	h, err := tezos.ParsePublicKeyHash(text)
	require.NoError(t, err)
	return h
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "interchange", filepath.FromSlash(name)))
	require.NoError(t, err)
	return b
}

// samples are the files of testdata/interchange.
var samples = []string{
	"octez-signer/block_high_watermarks",
	"octez-signer/preattestation_high_watermarks",
	"octez-signer/attestation_high_watermarks",
	"octez-baker/NetXdQprcVkpa_highwatermarks",
	"signatory/watermark_v2/NetXdQprcVkpaWU.json",
	"signatory/v1.1.8/watermark_v2/NetXdQprcVkpaWU.json",
	"signatory/watermark_v1/NetXdQprcVkpaWU.json",
	"signatory/watermark/NetXdQprcVkpaWU.json",
	"highwater/export.json",
}

// formats are those whose name is not the first part of the sample's path.
var formats = map[string]interchange.Format{
	"signatory/watermark_v1/NetXdQprcVkpaWU.json": interchange.SignatoryV1,
	"signatory/watermark/NetXdQprcVkpaWU.json":    interchange.SignatoryV0,
}

func TestSamples(t *testing.T) {
	row := func(key string, kind tezos.Kind, level, round int32) interchange.Row {
		return interchange.Row{Chain: tezos.Mainnet, PKH: pkh(t, key), Kind: kind, Level: level, Round: round}
	}
	at := func(r interchange.Row, nanos int) interchange.Row {
		r.UpdatedAt = time.Date(2026, 8, 21, 9, 30, 0, nanos, time.UTC)
		return r
	}
	const old = "tz1KqTpEZ7Yob7QbPE4Hy4Wo8fHG8LhKxZSx"
	const sigA, sigB = "tz4MXZafvZ5Dcf77DXF8wtz6PNkasGBQ2VXk", "tz4WSprDpn9GCzYRPqD8Aydpf55ghX5aDQ9Z"
	want := map[string][]interchange.Row{
		"octez-signer/block_high_watermarks":          {row(tz1, tezos.Block, 8000000, 0), row(tz4, tezos.Block, 8000003, 1)},
		"octez-signer/preattestation_high_watermarks": {row(tz1, tezos.Preattestation, 8000010, 2)},
		"octez-signer/attestation_high_watermarks":    {row(tz1, tezos.Attestation, 8000010, 0)},
		"octez-baker/NetXdQprcVkpa_highwatermarks": {
			row(tz1, tezos.Block, 8000000, 0), row(tz1, tezos.Preattestation, 8000011, 0),
			row(tz1, tezos.Attestation, 8000010, 0),
		},
		"signatory/watermark_v2/NetXdQprcVkpaWU.json": {
			row(sigA, tezos.Preattestation, 214872656, 0), row(sigA, tezos.Attestation, 214872658, 0),
			row(sigB, tezos.Preattestation, 214872652, 0), row(sigB, tezos.Attestation, 214872654, 0),
		},
		"signatory/v1.1.8/watermark_v2/NetXdQprcVkpaWU.json": {
			row(old, tezos.Block, 100, math.MaxInt32), row(old, tezos.Preattestation, 101, 0),
			row(old, tezos.Attestation, 101, 0),
		},
		"signatory/watermark_v1/NetXdQprcVkpaWU.json": {
			row(old, tezos.Block, 12180922, math.MaxInt32), row(old, tezos.Preattestation, 12180922, 0),
			row(old, tezos.Attestation, 12180922, 0),
		},
		"signatory/watermark/NetXdQprcVkpaWU.json": {
			row(old, tezos.Block, 12180900, math.MaxInt32), row(old, tezos.Attestation, 12180922, 0),
		},
		"highwater/export.json": {
			at(row(tz1, tezos.Block, 8000000, 0), 250_000_000),
			row(tz1, tezos.Preattestation, 8000011, math.MaxInt32),
			at(row(tz4, tezos.Attestation, 8000010, 2), int(6*time.Second)),
		},
	}
	for _, name := range samples {
		t.Run(name, func(t *testing.T) {
			rows, format, err := interchange.Parse("/var/lib/"+name, sample(t, name), tezos.Mainnet)
			require.NoError(t, err)
			program, _, _ := strings.Cut(name, "/")
			if old, ok := formats[name]; ok {
				program = old.String()
			}
			require.Equal(t, program, format.String())
			for i := range rows {
				require.Equal(t, program+" "+filepath.Base(name), rows[i].Source)
				rows[i].Source = ""
			}
			require.Equal(t, want[name], rows)
			detected, err := interchange.Detect(name, sample(t, name))
			require.NoError(t, err)
			require.Equal(t, format, detected)
		})
	}
}

// TestBakerOfNairobi: octez-baker's lists had other names for protocols up to Nairobi.
func TestBakerOfNairobi(t *testing.T) {
	list := func(level string) string {
		return `[{"delegate":"` + tz1 + `","highwatermark":{"round":1,"level":` + level + `}}]`
	}
	text := `{"blocks":` + list("7") + `,"preendorsements":` + list("9") + `,"endorsements":` + list("8") + `}`
	rows, format, err := interchange.Parse("NetXdQprcVkpa_highwatermarks", []byte(text), tezos.Mainnet)
	require.NoError(t, err)
	require.Equal(t, interchange.OctezBaker, format)
	got := map[tezos.Kind]int32{}
	for _, row := range rows {
		got[row.Kind] = row.Level
		require.Equal(t, int32(1), row.Round)
	}
	require.Equal(t, map[tezos.Kind]int32{tezos.Block: 7, tezos.Preattestation: 9, tezos.Attestation: 8}, got)
}

// A damaged copy of each sample, cut at every place, gives an error and no rows, or what a shorter whole file says:
// never less of a longer one.
func TestCutSamplesGiveNoRows(t *testing.T) {
	for _, name := range samples {
		whole := []byte(strings.TrimRight(string(sample(t, name)), "\n"))
		for n := range whole {
			rows, _, err := interchange.Parse(name, whole[:n], tezos.Mainnet)
			require.Error(t, err, "%s cut to %d bytes", name, n)
			require.Empty(t, rows)
		}
	}
}

func TestNames(t *testing.T) {
	signer := `{"NetXdQprcVkpaWU":{"` + tz1 + `":{"level":5,"round":1,"hash":"00"}}}`
	baker := `{"blocks":[],"preattestations":[],"attestations":[{"delegate":"` + tz1 +
		`","highwatermark":{"round":1,"level":5}}]}`
	signatory := `{"` + tz1 + `":{"preattestation":{"level":5,"round":1,"hash":"vh"}}}`
	ours := `{"format":"highwater-watermarks","version":1,"chain":"NetXdQprcVkpaWU","rows":[{"pkh":"` + tz1 +
		`","kind":"block","level":5,"round":1}]}`
	rows := []struct {
		name, content string
		format        interchange.Format // zero: none
		kind          tezos.Kind
	}{
		{"block_high_watermarks", signer, interchange.OctezSigner, tezos.Block},
		{"/var/lib/octez/block_high_watermark", signer, interchange.OctezSigner, tezos.Block},
		{"preattestation_high_watermarks", signer, interchange.OctezSigner, tezos.Preattestation},
		{"preattestation_high_watermark", signer, interchange.OctezSigner, tezos.Preattestation},
		{"preendorsement_high_watermarks", signer, interchange.OctezSigner, tezos.Preattestation},
		{"attestation_high_watermarks", signer, interchange.OctezSigner, tezos.Attestation},
		{"endorsement_high_watermarks", signer, interchange.OctezSigner, tezos.Attestation},
		{"endorsement_high_watermark", signer, interchange.OctezSigner, tezos.Attestation},
		{"octez-signer-attestation_high_watermarks", signer, interchange.OctezSigner, tezos.Attestation},
		{`C:\baker\old.preattestation_high_watermarks.json`, signer, interchange.OctezSigner, tezos.Preattestation},
		{"NetXdQprcVkpa_highwatermarks", baker, interchange.OctezBaker, tezos.Attestation},
		{"copy-NetXdQprcVkpa_highwatermarks.json", baker, interchange.OctezBaker, tezos.Attestation},
		{"NetXdQprcVkpaWU.json", signatory, interchange.Signatory, tezos.Preattestation},
		{"anything", ours, interchange.Highwater, tezos.Block},
		{"block_high_watermarks", ours, interchange.Highwater, tezos.Block},

		{"anything", signer, 0, 0},
		{"reattestation_high_watermarks", signer, 0, 0},
		{"block_high_watermarks.bak", signer, 0, 0},
		{"block_highwatermarks", signer, 0, 0},
		{"block_high_watermarks/other", signer, 0, 0},
		{"highwatermarks", baker, 0, 0},
		{"NetXdQprcVkpaWU_highwatermarks", baker, 0, 0},
		{"NetXdQprcVkpa.json", signatory, 0, 0},
		{"", signatory, 0, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, format, err := interchange.Parse(row.name, []byte(row.content), tezos.Mainnet)
			if row.format == 0 {
				require.ErrorIs(t, err, interchange.ErrUnknownFormat)
				require.ErrorContains(t, err, "block_high_watermarks")
				require.Empty(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, row.format, format)
			require.Len(t, got, 1)
			require.Equal(t, row.kind, got[0].Kind)
			require.Equal(t, int32(5), got[0].Level)
			require.Equal(t, int32(1), got[0].Round)
			require.Equal(t, tezos.Mainnet, got[0].Chain)
		})
	}
}

func TestOtherChains(t *testing.T) {
	for _, name := range samples[3:] {
		rows, _, err := interchange.Parse(name, sample(t, name), ghostnet)
		require.ErrorIs(t, err, interchange.ErrOtherChain, name)
		require.ErrorContains(t, err, "NetXnHfVqm9iesp")
		require.Empty(t, rows)
	}
	content := `{"NetXnHfVqm9iesp":{"` + tz1 + `":{"level":9,"round":0}},"NetXdQprcVkpaWU":{"` + tz1 +
		`":{"level":5,"round":1}}}`
	rows, _, err := interchange.Parse("block_high_watermarks", []byte(content), tezos.Mainnet)
	require.NoError(t, err)
	require.Len(t, rows, 2, "octez-signer keeps several chains in one file")
	require.Equal(t, ghostnet, rows[0].Chain)
	require.Equal(t, tezos.Mainnet, rows[1].Chain)
}

// An entry without a round is from before rounds: nothing at its level may be signed again.
func TestAbsentRoundIsTheHighest(t *testing.T) {
	content := `{"NetXdQprcVkpaWU":{"` + tz1 + `":{"level":5,"hash":"00"}}}`
	rows, _, err := interchange.Parse("endorsement_high_watermark", []byte(content), tezos.Mainnet)
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, int32(5), rows[0].Level)
	require.Equal(t, int32(math.MaxInt32), rows[0].Round)
}

// Attestations with and without DAL are one kind, so the higher of the two counts, wherever it stands.
func TestSignatoryAttestationsAreOneKind(t *testing.T) {
	entry := func(level, round string) string { return `{"level":` + level + `,"round":` + round + `,"hash":"vh"}` }
	for _, row := range []struct{ plain, dal string }{
		{entry("7", "2"), entry("7", "1")},
		{entry("6", "9"), entry("7", "2")},
		{entry("7", "0"), entry("7", "2")},
		{entry("7", "2"), entry("7", "2")},
	} {
		for _, content := range []string{
			`{"` + tz4 + `":{"attestation":` + row.plain + `,"attestation_with_dal":` + row.dal + `}}`,
			`{"` + tz4 + `":{"attestation_with_dal":` + row.plain + `,"attestation":` + row.dal + `}}`,
		} {
			rows, _, err := interchange.Parse("NetXdQprcVkpaWU.json", []byte(content), tezos.Mainnet)
			require.NoError(t, err)
			require.Len(t, rows, 1)
			require.Equal(t, tezos.Attestation, rows[0].Kind)
			require.Equal(t, int32(7), rows[0].Level)
			require.Equal(t, int32(2), rows[0].Round)
		}
	}
}

// The two older names of a kind stand beside the newer ones for ever: the highest of them counts.
func TestSignatoryOlderNames(t *testing.T) {
	content := `{"` + tz4 + `":{"endorsement":{"level":9,"round":1,"hash":null},"attestation":{"level":9,"round":0,"hash":"vh"},` +
		`"preattestation":{"level":9,"round":3},"preendorsement":{"level":8,"round":7}}}`
	rows, _, err := interchange.Parse("NetXdQprcVkpaWU.json", []byte(content), tezos.Mainnet)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, [3]int32{int32(tezos.Preattestation), 9, 3},
		[3]int32{int32(rows[0].Kind), rows[0].Level, rows[0].Round})
	require.Equal(t, [3]int32{int32(tezos.Attestation), 9, 1}, [3]int32{int32(rows[1].Kind), rows[1].Level, rows[1].Round})
}

// Signatory keeps a block's payload round. A block of round 3 that takes over the payload of round 0 leaves a mark at
// round 0, and the block of round 2 must not be signed after it.
func TestSignatoryBlockRoundIsAnyRound(t *testing.T) {
	for name, content := range map[string]string{
		"v2":       `{"` + tz4 + `":{"block":{"level":5,"round":0,"hash":"vh"}}}`,
		"v1":       `{"` + tz4 + `":{"level":5,"round":0,"order":0,"hash":"vh"}}`,
		"early v1": `{"NetXdQprcVkpaWU":{"` + tz4 + `":{"level":5,"round":0,"order":2,"hash":null}}}`,
		"v0":       `{"block":{"` + tz4 + `":{"level":5,"round":0,"hash":"vh"}}}`,
		"emmy":     `{"endorsement":{"` + tz4 + `":{"level":4}},"block":{"` + tz4 + `":{"level":5,"hash":"vh"}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			rows, _, err := interchange.Parse("NetXdQprcVkpaWU.json", []byte(content), tezos.Mainnet)
			require.NoError(t, err)
			require.Equal(t, tezos.Block, rows[0].Kind)
			require.Equal(t, int32(5), rows[0].Level)
			require.Equal(t, int32(math.MaxInt32), rows[0].Round)
		})
	}
}

func TestFilesWithoutRows(t *testing.T) {
	for name, content := range map[string]string{
		"block_high_watermarks":        `{}`,
		"NetXdQprcVkpa_highwatermarks": `{"blocks":[],"preattestations":[],"attestations":[]}`,
		"NetXdQprcVkpaWU.json":         ` {} ` + "\n",
		"export.json":                  `{"format":"highwater-watermarks","version":1,"chain":"NetXdQprcVkpaWU","rows":[]}`,
	} {
		rows, _, err := interchange.Parse(name, []byte(content), tezos.Mainnet)
		require.NoError(t, err)
		require.Empty(t, rows)
	}
}
