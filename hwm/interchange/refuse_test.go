package interchange_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/hwm/interchange"
	"highwater/internal/tezos"
)

const (
	signerFile    = "block_high_watermarks"
	bakerFile     = "NetXdQprcVkpa_highwatermarks"
	signatoryFile = "NetXdQprcVkpaWU.json"
	ourFile       = "export.json"
)

// Each row is a file that must be refused as a whole; says are pieces of the error, the place first.
func TestRefusals(t *testing.T) {
	signer := func(mark string) string { return `{"NetXdQprcVkpaWU":{"` + tz1 + `":` + mark + `}}` }
	baker := func(row string) string { return `{"blocks":[],"preattestations":[` + row + `],"attestations":[]}` }
	bakerMark := func(mark string) string { return baker(`{"delegate":"` + tz1 + `","highwatermark":` + mark + `}`) }
	signatory := func(kinds string) string { return `{"` + tz4 + `":` + kinds + `}` }
	ours := func(rows string) string {
		return `{"format":"highwater-watermarks","version":1,"chain":"NetXdQprcVkpaWU","rows":` + rows + `}`
	}
	const bakerRow = `{"delegate":"` + tz1 + `","highwatermark":{"round":0,"level":1}}`
	const ourRow = `{"pkh":"` + tz1 + `","kind":"block","level":5,"round":1}`
	rows := []struct {
		what, name, content string
		says                []string
	}{
		{"empty", signerFile, "", []string{"0 bytes", "power cut"}},
		{"zero bytes", signerFile, strings.Repeat("\x00", 512), []string{"512 bytes", "power cut"}},
		{"white space", ourFile, " \n", []string{"power cut"}},
		{"too long", ourFile, strings.Repeat(" ", interchange.MaxSize) + "{}", []string{"4194306 bytes"}},
		{"gzip", signerFile, "\x1f\x8b\x08\x00", []string{"compressed: gzip -d"}},
		{"bzip2", signerFile, "BZh9", []string{"compressed: bzip2 -d"}},
		{"xz", signerFile, "\xfd7zXZ\x00", []string{"compressed: xz -d"}},
		{"zstd", signerFile, "\x28\xb5\x2f\xfd", []string{"compressed: zstd -d"}},
		{"zip", signerFile, "PK\x03\x04", []string{"an archive: unzip"}},
		{"byte order mark", signerFile, "\xef\xbb\xbf{}", []string{"a byte order mark"}},
		{"utf-16", signerFile, "\xff\xfe{\x00}\x00", []string{"UTF-16 text, as PowerShell writes"}},
		{"utf-16, big end first", signerFile, "\xfe\xff\x00{\x00}", []string{"UTF-16"}},
		{"utf-16 without a mark", signerFile, "{\x00}\x00", []string{"UTF-16"}},
		{"utf-16 without a mark, big end first", signerFile, "\x00{\x00}", []string{"UTF-16"}},
		{"not json", signerFile, `level: 5`, []string{"invalid character"}},
		{"trailing data", signerFile, signer(`{"level":5,"round":1}`) + ` {}`, []string{"after top-level value"}},
		{"trailing zeros", signerFile, signer(`{"level":5,"round":1}`) + "\x00\x00", []string{"after top-level value"}},
		{"trailing comma", signerFile, signer(`{"level":5,"round":1,}`), []string{"invalid character"}},
		{"deep", signerFile, strings.Repeat("[", 20) + strings.Repeat("]", 20), []string{"nested deeper"}},
		{"very deep", signerFile, strings.Repeat("[", 1<<20), []string{"exceeded max depth"}},

		{"signer: a list", signerFile, `[]`, []string{"an object is expected, not a list"}},
		{"signer: a number", signerFile, `5`, []string{"not a number"}},
		{"signer: no chain", signerFile, `{"main":{}}`, []string{"main: ", "base58check"}},
		{"signer: chain is a list", signerFile, `{"NetXdQprcVkpaWU":[]}`, []string{"NetXdQprcVkpaWU: ", "not a list"}},
		{
			"signer: no key", signerFile, `{"NetXdQprcVkpaWU":{"alice":{"level":5}}}`,
			[]string{"NetXdQprcVkpaWU/alice: ", "base58check"},
		},
		{"signer: mark is null", signerFile, signer(`null`), []string{"NetXdQprcVkpaWU/" + tz1, "not null"}},
		{"signer: level absent", signerFile, signer(`{"round":1}`), []string{tz1, "level is missing", "absent is not zero"}},
		{"signer: level in other case", signerFile, signer(`{"Level":5,"round":1}`), []string{tz1, "level is missing"}},
		{"signer: level null", signerFile, signer(`{"level":null}`), []string{tz1, "level is null"}},
		{"signer: level a string", signerFile, signer(`{"level":"5"}`), []string{tz1, `level is in quotes: "5"`, "tmkms"}},
		{"signer: level a word", signerFile, signer(`{"level":"five"}`), []string{tz1, "level is a string"}},
		{"signer: round quoted", signerFile, signer(`{"level":5,"round":"0"}`), []string{tz1, `round is in quotes: "0"`}},
		{"signer: level negative", signerFile, signer(`{"level":-1,"round":0}`), []string{tz1, "level is negative: -1"}},
		{"signer: minus zero", signerFile, signer(`{"level":-0,"round":0}`), []string{tz1, "level is negative: -0"}},
		{
			"signer: level too large", signerFile, signer(`{"level":2147483648,"round":0}`),
			[]string{tz1, "level is above 2147483647"},
		},
		{
			"signer: level far too large", signerFile, signer(`{"level":` + strings.Repeat("9", 400) + `}`),
			[]string{tz1, "level is above"},
		},
		{"signer: level with a fraction", signerFile, signer(`{"level":5.0}`), []string{tz1, "not a whole number: 5.0"}},
		{"signer: level with an exponent", signerFile, signer(`{"level":5e3}`), []string{tz1, "not a whole number: 5e3"}},
		{"signer: round negative", signerFile, signer(`{"level":5,"round":-1}`), []string{tz1, "round is negative"}},
		{"signer: round null", signerFile, signer(`{"level":5,"round":null}`), []string{tz1, "round is null"}},
		{"signer: round too large", signerFile, signer(`{"level":5,"round":4294967296}`), []string{tz1, "round is above"}},
		{
			"signer: level twice", signerFile, signer(`{"level":5,"round":1,"level":4}`),
			[]string{tz1, `"level" is named twice`},
		},
		{
			"signer: key twice", signerFile, `{"NetXdQprcVkpaWU":{"` + tz1 + `":{"level":5},"` + tz1 + `":{"level":4}}}`,
			[]string{"NetXdQprcVkpaWU: ", tz1 + `" is named twice`},
		},
		{
			"signer: chain twice", signerFile, `{"NetXdQprcVkpaWU":{},"NetXdQprcVkpaWU":{}}`,
			[]string{`"NetXdQprcVkpaWU" is named twice`},
		},
		{
			"signer: chain twice by an escape", signerFile, `{"NetXdQprcVkpaWU":{},"\u004eetXdQprcVkpaWU":{}}`,
			[]string{"is named twice"},
		},

		{
			"baker: lists of two releases", bakerFile, `{"blocks":[],"preendorsements":[],"attestations":[]}`,
			[]string{`unknown member "attestations"`, "blocks, preendorsements, endorsements"},
		},
		{"baker: an old list missing", bakerFile, `{"blocks":[],"endorsements":[]}`, []string{"preendorsements is missing"}},
		{"baker: no lists", bakerFile, `{}`, []string{"is missing"}},
		{"baker: a list missing", bakerFile, `{"blocks":[],"attestations":[]}`, []string{"preattestations is missing"}},
		{
			"baker: unknown list", bakerFile, `{"blocks":[],"preattestations":[],"attestations":[],"dal":[]}`,
			[]string{`unknown member "dal"`},
		},
		{
			"baker: no list", bakerFile, `{"blocks":{},"preattestations":[],"attestations":[]}`,
			[]string{"blocks: ", "a list is expected"},
		},
		{
			"baker: null list", bakerFile, `{"blocks":null,"preattestations":[],"attestations":[]}`,
			[]string{"blocks: ", "not null"},
		},
		{"baker: no object", bakerFile, baker(`5`), []string{"preattestations/1: ", "an object"}},
		{
			"baker: no delegate", bakerFile, baker(`{"highwatermark":{"round":0,"level":1}}`),
			[]string{"preattestations/1: ", "delegate is missing"},
		},
		{
			"baker: delegate a number", bakerFile, baker(`{"delegate":1}`),
			[]string{"preattestations/1: ", "delegate is a number"},
		},
		{"baker: no key", bakerFile, baker(`{"delegate":"bob"}`), []string{"preattestations/1 (bob): ", "base58check"}},
		{"baker: no mark", bakerFile, baker(`{"delegate":"` + tz1 + `"}`), []string{tz1, "an object is expected, not null"}},
		{"baker: no round", bakerFile, bakerMark(`{"level":1}`), []string{tz1, "round is missing"}},
		{"baker: no level", bakerFile, bakerMark(`{"round":1}`), []string{tz1, "level is missing"}},
		{"baker: negative", bakerFile, bakerMark(`{"round":1,"level":-5}`), []string{tz1, "level is negative"}},
		{
			"baker: delegate twice", bakerFile, `{"blocks":[],"preattestations":[],"attestations":[` +
				bakerRow + `,` + bakerRow + `]}`,
			[]string{"attestations/2", tz1 + " is named twice"},
		},

		{"signatory: a list", signatoryFile, `[]`, []string{"not a list"}},
		{"signatory: no key", signatoryFile, `{"carol":{}}`, []string{"carol: ", "base58check"}},
		{"signatory: no kinds", signatoryFile, signatory(`7`), []string{tz4 + ": ", "not a number"}},
		{
			"signatory: unknown kind", signatoryFile, signatory(`{"generic":{"level":1,"round":0}}`),
			[]string{tz4 + "/generic: ", "unknown kind"},
		},
		{
			"signatory: no level", signatoryFile, signatory(`{"block":{"round":0}}`),
			[]string{tz4 + "/block: ", "level is missing"},
		},
		{
			"signatory: no round", signatoryFile, signatory(`{"block":{"level":0}}`),
			[]string{tz4 + "/block: ", "round is missing"},
		},
		{
			"signatory: quoted", signatoryFile, signatory(`{"block":{"level":"1","round":"0"}}`),
			[]string{tz4 + "/block: ", `level is in quotes: "1"`, "tmkms"},
		},
		{
			"signatory: two layouts", signatoryFile,
			`{"` + tz4 + `":{"block":{"level":1,"round":0}},"` + tz1 + `":{"level":1,"round":0,"order":2}}`,
			[]string{tz1 + "/level: ", "unknown kind"},
		},
		{
			"signatory v1: no order", signatoryFile, signatory(`{"level":1,"round":0}`),
			[]string{tz4 + ": ", "order is missing"},
		},
		{
			"signatory v1: order", signatoryFile, signatory(`{"level":1,"round":0,"order":3}`),
			[]string{tz4 + ": ", "order is 3"},
		},
		{
			"signatory v1: no level", signatoryFile, signatory(`{"round":0,"order":1}`),
			[]string{tz4 + ": ", "level is missing"},
		},
		{
			"signatory v1: quoted", signatoryFile, signatory(`{"level":"12","round":0,"order":1}`),
			[]string{tz4 + ": ", "level is in quotes"},
		},
		{
			"signatory v1: two layouts", signatoryFile,
			`{"` + tz4 + `":{"level":1,"round":0,"order":0},"` + tz1 + `":{"block":{"level":1,"round":0}}}`,
			[]string{tz1 + ": ", "order is missing"},
		},
		{
			"signatory v1: other chain inside", signatoryFile,
			`{"NetXnHfVqm9iesp":{"` + tz1 + `":{"level":1,"round":0,"order":0}}}`,
			[]string{"NetXnHfVqm9iesp"},
		},
		{
			"signatory v1: two chains", signatoryFile, `{"NetXdQprcVkpaWU":{},"NetXnHfVqm9iesp":{}}`,
			[]string{"NetXdQprcVkpaWU: ", "base58check"},
		},
		{"signatory v0: no key", signatoryFile, `{"block":{"carol":{"level":1}}}`, []string{"block/carol: ", "base58check"}},
		{
			"signatory v0: unknown kind", signatoryFile, `{"block":{},"generic":{"` + tz1 + `":{"level":1}}}`,
			[]string{"generic/" + tz1, "unknown kind"},
		},
		{
			"signatory v0: no level", signatoryFile, `{"endorsement":{"` + tz1 + `":{"round":1}}}`,
			[]string{"endorsement/" + tz1, "level is missing"},
		},
		{"signatory v0: no object", signatoryFile, `{"endorsement":[]}`, []string{"endorsement: ", "not a list"}},
		{
			"cometbft", "priv_validator_state.json", `{"height":"5","round":"0","step":3}`,
			[]string{"tmkms", "no Tezos signer"},
		},
		{"signatory: no chain id", "NetXdQprcVkpaWV.json", signatory(`{}`), []string{"chain id", "checksum"}},

		{
			"ours: another format", ourFile, `{"format":"highwater-bundle","version":1}`,
			[]string{`the format is "highwater-bundle"`},
		},
		{"ours: format a number", ourFile, `{"format":1}`, []string{"format is a number"}},
		{"ours: no version", ourFile, `{"format":"highwater-watermarks"}`, []string{"version is missing"}},
		{"ours: no chain", ourFile, `{"format":"highwater-watermarks","version":1,"rows":[]}`, []string{"chain is missing"}},
		{
			"ours: bad chain", ourFile, `{"format":"highwater-watermarks","version":1,"chain":"main","rows":[]}`,
			[]string{"chain: ", "base58"},
		},
		{
			"ours: no rows", ourFile, `{"format":"highwater-watermarks","version":1,"chain":"NetXdQprcVkpaWU"}`,
			[]string{"rows: ", "not null"},
		},
		{"ours: unknown member", ourFile, ours(`[],"note":"x"`), []string{`unknown member "note"`}},
		{"ours: no object", ourFile, ours(`[5]`), []string{"rows/1: ", "an object"}},
		{
			"ours: unknown member of a row", ourFile, ours(`[{"pkh":"` + tz1 + `","ceiling":5}]`),
			[]string{"rows/1", `unknown member "ceiling"`},
		},
		{
			"ours: no key", ourFile, ours(`[{"pkh":"dave","kind":"block","level":5,"round":1}]`),
			[]string{"rows/1 (dave): ", "base58check"},
		},
		{
			"ours: unknown kind", ourFile, ours(`[{"pkh":"` + tz1 + `","kind":"dal","level":5,"round":1}]`),
			[]string{"rows/1", `unknown kind "dal"`},
		},
		{
			"ours: no level", ourFile, ours(`[` + ourRow + `,{"pkh":"` + tz1 + `","kind":"attestation","round":1}]`),
			[]string{"rows/2", "level is missing"},
		},
		{
			"ours: no round", ourFile, ours(`[{"pkh":"` + tz1 + `","kind":"block","level":5}]`),
			[]string{"rows/1", "round is missing"},
		},
		{
			"ours: twice", ourFile, ours(`[` + ourRow + `,` + ourRow + `]`),
			[]string{"rows/2", "block of " + tz1 + " is named twice"},
		},
		{
			"ours: no time", ourFile, ours(`[` + ourRow[:len(ourRow)-1] + `,"updated_at":"yesterday"}]`),
			[]string{"rows/1", "yesterday"},
		},
		{
			"ours: far time", ourFile, ours(`[` + ourRow[:len(ourRow)-1] + `,"updated_at":"1066-10-14T00:00:00Z"}]`),
			[]string{"rows/1", "1066"},
		},
		{
			"ours: time a number", ourFile, ours(`[` + ourRow[:len(ourRow)-1] + `,"updated_at":5}]`),
			[]string{"rows/1", "updated_at is a number"},
		},
	}
	for _, row := range rows {
		t.Run(row.what, func(t *testing.T) {
			got, format, err := interchange.Parse(row.name, []byte(row.content), tezos.Mainnet)
			require.Error(t, err)
			require.Empty(t, got)
			require.Zero(t, format)
			var fe *interchange.FileError
			require.ErrorAs(t, err, &fe)
			require.Equal(t, row.name, fe.Name)
			for _, piece := range row.says {
				require.ErrorContains(t, err, piece)
			}
			require.Less(t, len(err.Error()), 500)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

// Nothing else of a later version is looked at, so that the message is about the version.
func TestLaterVersion(t *testing.T) {
	for _, content := range []string{
		`{"format":"highwater-watermarks","version":2,"chains":{}}`,
		`{"version":0,"format":"highwater-watermarks"}`,
	} {
		_, _, err := interchange.Parse(ourFile, []byte(content), tezos.Mainnet)
		require.ErrorIs(t, err, interchange.ErrUnknownVersion)
	}
}
