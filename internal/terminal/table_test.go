package terminal

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func tableOf(t *testing.T, width int, colour bool, header []string, rows [][]string) []string {
	t.Helper()
	var out bytes.Buffer
	term := &Terminal{Out: &out, Width: width, colour: colour}
	for _, r := range rows {
		r[1] = term.Paint(Green, r[1])
	}
	require.NoError(t, term.Table(header, rows))
	return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
}

// TestTableLinesUp: a column begins at the same place in each line, the header's too, whatever its cells are made of.
func TestTableLinesUp(t *testing.T) {
	header := []string{"alias", "health", "level"}
	for _, colour := range []bool{false, true} {
		for _, alias := range []string{"x", "bäckerei", "ключ", "日本語", "e\u0301te\u0301", "a longer one than that"} {
			lines := tableOf(t, 200, colour, header, [][]string{{alias, "ready", "1"}, {"-", "absent", "22"}})
			require.Len(t, lines, 3)
			for _, last := range [][2]string{{lines[0], "LEVEL"}, {lines[1], "1"}, {lines[2], "22"}} {
				before, found := strings.CutSuffix(last[0], last[1])
				require.True(t, found, last[0])
				require.Equal(t, max(5, Cells(alias))+2+6+2, Cells(before), "%q", last[0])
			}
		}
	}
}

// TestTableIsFolded: what does not fit goes on in a second line, and nothing is left out or broken.
func TestTableIsFolded(t *testing.T) {
	header := []string{"key", "kind", "level", "updated"}
	rows := func() [][]string {
		return [][]string{{strings.Repeat("k", 36), "preattestation", "8000000", "2026-11-26 23:59:41Z"}}
	}
	require.Len(t, tableOf(t, 0, false, header, rows()), 2, "no terminal: a line each")
	require.Len(t, tableOf(t, 85, false, header, rows()), 2, "it fits")
	lines := tableOf(t, 80, false, header, rows())
	require.Equal(t, []string{
		"KEY                                   KIND            LEVEL",
		"  UPDATED",
		strings.Repeat("k", 36) + "  preattestation  8000000",
		"  2026-11-26 23:59:41Z",
	}, lines)
	// A sentence at the end may wrap, where there is room for some of it.
	lines = tableOf(t, 80, false, []string{"what", "result", "found"},
		[][]string{{"guard", "ok", strings.Repeat("word ", 30)}})
	require.Len(t, lines, 2)
}
