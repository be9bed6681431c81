package interchange_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"highwater/hwm/interchange"
	"highwater/internal/tezos"
)

func TestWriteGivesTheSampleInAnyOrder(t *testing.T) {
	want := sample(t, "highwater/export.json")
	rows, _, err := interchange.Parse("export.json", want, tezos.Mainnet)
	require.NoError(t, err)
	for range rows {
		rows = append(rows[1:], rows[0])
		requireWrites(t, want, rows)
	}
	for i := range rows {
		rows[i].UpdatedAt = rows[i].UpdatedAt.In(time.FixedZone("", 7200))
	}
	requireWrites(t, want, rows)
}

func requireWrites(t *testing.T, want []byte, rows []interchange.Row) {
	t.Helper()
	got, err := interchange.Write(tezos.Mainnet, rows)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// What another signer is given is never below ours: what it reads back is each mark as it is, or above. A block's mark
// comes back from Signatory's file as a floor of its level.
func TestLeaving(t *testing.T) {
	writers := map[interchange.Format]func(tezos.ChainID, []interchange.Row) ([]interchange.File, error){
		interchange.OctezSigner: interchange.WriteOctezSigner, interchange.Signatory: interchange.WriteSignatory,
	}
	rapid.Check(t, func(t *rapid.T) {
		rows := genRows(t)
		for format, write := range writers {
			files, err := write(ghostnet, rows)
			require.NoError(t, err)
			got := make(map[[2]any]interchange.Row)
			for _, file := range files {
				read, as, err := interchange.Parse(file.Name, file.Data, ghostnet)
				require.NoError(t, err)
				require.True(t, as == format || len(read) == 0)
				for _, row := range read {
					id := [2]any{row.PKH, row.Kind}
					have, ok := got[id]
					require.True(t, !ok || have.Level == row.Level && have.Round == row.Round, "the older name says something else")
					got[id] = row
				}
			}
			require.Len(t, got, len(rows))
			for _, want := range rows {
				row := got[[2]any{want.PKH, want.Kind}]
				require.Equal(t, want.Level, row.Level)
				if format == interchange.Signatory && want.Kind == tezos.Block {
					want.Round = math.MaxInt32
				}
				require.Equal(t, want.Round, row.Round)
			}
		}
	})
}

// Both texts are what the other signer's own code wants to read, member by member.
func TestLeavingText(t *testing.T) {
	rows := []interchange.Row{
		{Chain: ghostnet, PKH: pkh(t, tz1), Kind: tezos.Attestation, Level: 7, Round: math.MaxInt32},
		{Chain: ghostnet, PKH: pkh(t, tz1), Kind: tezos.Block, Level: 6, Round: 2},
	}
	files, err := interchange.WriteOctezSigner(ghostnet, rows)
	require.NoError(t, err)
	require.Len(t, files, 3)
	zeros := `"0000000000000000000000000000000000000000000000000000000000000000"`
	for i, name := range []string{"attestation_high_watermarks", "block_high_watermarks", "endorsement_high_watermarks"} {
		require.Equal(t, name, files[i].Name)
		mark := `{"level":7,"round":2147483647,"hash":` + zeros + `}`
		if i == 1 {
			mark = `{"level":6,"round":2,"hash":` + zeros + `}`
		}
		require.JSONEq(t, `{"NetXnHfVqm9iesp":{"`+tz1+`":`+mark+`}}`, string(files[i].Data))
	}
	files, err = interchange.WriteSignatory(ghostnet, rows)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.Equal(t, "watermark_v2/NetXnHfVqm9iesp.json", files[0].Name)
	const seven, six = `{"level":7,"round":2147483647,"hash":null}`, `{"level":6,"round":2,"hash":null}`
	require.JSONEq(t, `{"`+tz1+`":{"attestation":`+seven+`,"attestation_with_dal":`+seven+`,"endorsement":`+seven+`,"block":`+six+`}}`, string(files[0].Data))
}

func TestWriteDoesNotChangeItsInput(t *testing.T) {
	rows := []interchange.Row{
		{Chain: ghostnet, PKH: pkh(t, tz4), Kind: tezos.Block},
		{Chain: ghostnet, PKH: pkh(t, tz1), Kind: tezos.Block},
	}
	before := slices.Clone(rows)
	_, err := interchange.Write(ghostnet, rows)
	require.NoError(t, err)
	require.Equal(t, before, rows)
}

func TestWriteNothing(t *testing.T) {
	b, err := interchange.Write(ghostnet, nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"format":"highwater-watermarks","version":1,"chain":"NetXnHfVqm9iesp","rows":[]}`, string(b))
}

func TestWriteRefuses(t *testing.T) {
	good := interchange.Row{Chain: ghostnet, PKH: pkh(t, tz1), Kind: tezos.Block, Level: 5}
	for name, change := range map[string]func(r *interchange.Row){
		"other chain":    func(r *interchange.Row) { r.Chain = tezos.Mainnet },
		"negative level": func(r *interchange.Row) { r.Level = -1 },
		"negative round": func(r *interchange.Row) { r.Round = math.MinInt32 },
		"unknown kind":   func(r *interchange.Row) { r.Kind = 0x03 },
		"no kind":        func(r *interchange.Row) { r.Kind = 0 },
		"unknown curve":  func(r *interchange.Row) { r.PKH.Curve = 77 },
		"year 12000":     func(r *interchange.Row) { r.UpdatedAt = time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"twice":          func(r *interchange.Row) { r.Kind = tezos.Block },
	} {
		t.Run(name, func(t *testing.T) {
			other := good
			other.Kind = tezos.Attestation
			change(&other)
			b, err := interchange.Write(ghostnet, []interchange.Row{good, other})
			require.Error(t, err)
			require.Nil(t, b)
			if name == "year 12000" {
				return // which no other signer is told
			}
			files, err := interchange.WriteOctezSigner(ghostnet, []interchange.Row{good, other})
			require.Error(t, err)
			require.Nil(t, files)
			files, err = interchange.WriteSignatory(ghostnet, []interchange.Row{good, other})
			require.Error(t, err)
			require.Nil(t, files)
		})
	}
}

// genRows draws distinct rows of one chain.
func genRows(t *rapid.T) []interchange.Row {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) interchange.Row {
		row := interchange.Row{
			Chain: ghostnet,
			PKH:   tezos.PublicKeyHash{Curve: tezos.Curve(rapid.Uint8Range(0, 4).Draw(t, "curve"))},
			Kind:  rapid.SampledFrom(tezos.Kinds).Draw(t, "kind"),
			Level: rapid.Int32Range(0, math.MaxInt32).Draw(t, "level"),
			Round: rapid.Int32Range(0, math.MaxInt32).Draw(t, "round"),
		}
		row.PKH.Hash[19] = rapid.Byte().Draw(t, "hash")
		if rapid.Bool().Draw(t, "has time") {
			row.UpdatedAt = time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "seconds"),
				rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).UTC()
		}
		return row
	}), 0, 20, func(r interchange.Row) [2]any { return [2]any{r.PKH, r.Kind} }).Draw(t, "rows")
}

func TestWhatIsWrittenIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := genRows(t)
		b, err := interchange.Write(ghostnet, rows)
		require.NoError(t, err)
		got, format, err := interchange.Parse("x", b, ghostnet)
		require.NoError(t, err)
		require.Equal(t, interchange.Highwater, format)
		for i := range got {
			require.Equal(t, "highwater x", got[i].Source)
			got[i].Source = ""
		}
		require.ElementsMatch(t, rows, got)
	})
}

// FuzzParse: an error gives nothing and is a *FileError; what is read can be written, and reads as the same rows again.
func FuzzParse(f *testing.F) {
	for _, name := range samples {
		f.Add(name, sample(f, name))
	}
	f.Add("endorsement_high_watermark", []byte(`{"NetXdQprcVkpaWU":{"`+tz1+`":{"level":5}}}`))
	f.Add("NetXdQprcVkpaWU.json", []byte(`{"NetXdQprcVkpaWU":{"`+tz4+`":{"level":5,"round":null,"order":1,"hash":null}}}`))
	f.Add("NetXdQprcVkpaWU.json", []byte(`{"`+tz4+`":{"attestation_with_dal":{"level":5,"round":7}}}`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		rows, format, err := interchange.Parse(name, data, tezos.Mainnet)
		if err != nil {
			var fe *interchange.FileError
			require.ErrorAs(t, err, &fe)
			require.Nil(t, rows)
			require.Zero(t, format)
			return
		}
		detected, err := interchange.Detect(name, data)
		require.NoError(t, err)
		require.Equal(t, format, detected)
		byChain := make(map[tezos.ChainID][]interchange.Row)
		for _, row := range rows {
			require.GreaterOrEqual(t, row.Level, int32(0))
			require.GreaterOrEqual(t, row.Round, int32(0))
			require.Contains(t, tezos.Kinds, row.Kind)
			require.NotEmpty(t, row.Source)
			row.Source = ""
			byChain[row.Chain] = append(byChain[row.Chain], row)
		}
		for chain, want := range byChain {
			require.True(t, chain == tezos.Mainnet || format == interchange.OctezSigner)
			b, err := interchange.Write(chain, want)
			require.NoError(t, err)
			got, _, err := interchange.Parse("again", b, chain)
			require.NoError(t, err)
			for i := range got {
				got[i].Source = ""
			}
			require.ElementsMatch(t, want, got)
			for _, write := range []func(tezos.ChainID, []interchange.Row) ([]interchange.File, error){
				interchange.WriteOctezSigner, interchange.WriteSignatory,
			} {
				files, err := write(chain, want)
				require.NoError(t, err)
				for _, file := range files {
					_, _, err = interchange.Parse(file.Name, file.Data, chain)
					require.NoError(t, err)
				}
			}
		}
	})
}
