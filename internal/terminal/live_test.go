package terminal

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"highwater/internal/checklist"
)

// screen is what a terminal shows of what was written to it.
func screen(t *testing.T, written string, width int) []string {
	t.Helper()
	lines, row, col := []string{""}, 0, 0
	for written != "" {
		if m := regexp.MustCompile(`^\x1b\[(\d*)([AKJm])`).FindStringSubmatch(written); m != nil {
			written = written[len(m[0]):]
			switch m[2] {
			case "A":
				n, err := strconv.Atoi(m[1])
				require.NoError(t, err)
				require.LessOrEqual(t, n, row, "above the list")
				row -= n
			case "K":
				lines[row] = lines[row][:col]
			case "J":
				lines[row] = lines[row][:col]
				lines = lines[:row+1]
			}
			continue
		}
		switch c := written[0]; c {
		case '\r':
			col = 0
		case '\n':
			if row, col = row+1, 0; row == len(lines) {
				lines = append(lines, "")
			}
		default:
			lines[row] = lines[row][:col] + string(c) + lines[row][min(col+1, len(lines[row])):]
			col++
			require.LessOrEqual(t, col, width, "the line wraps: %s", lines[row])
		}
		written = written[1:]
	}
	return lines
}

func TestLiveOnATerminal(t *testing.T) {
	var out, err bytes.Buffer
	term := New(strings.NewReader(""), &out, &err)
	l := term.NewLive()
	require.Zero(t, l.width, "a buffer is no terminal")
	l.width = 48
	l.Show([]checklist.Line{
		checklist.New(checklist.Node, checklist.OK, "in step, at level 1000", ""),
		checklist.New(checklist.Silence, checklist.Waiting, "1 of 3 silent levels, and much more than there is room for",
			"wait"),
	}, "waiting, for 2m0s at most")
	got := screen(t, ascii(err.String()), 48)
	require.Len(t, got, 5)
	require.Equal(t, "  ok       node            in step, at level ...", strings.Replace(got[0], "1_", "...", 1))
	require.Equal(t, "                           > wait", got[2])
	require.Equal(t, "           waiting, for 2m0s at most", got[3])
	require.True(t, strings.HasSuffix(got[1], "_"), "cut: %q", got[1])

	// Shorter: nothing of the longer list is left. The end leaves nothing.
	l.Show([]checklist.Line{checklist.New(checklist.Silence, checklist.OK, "3", "")}, "")
	require.Equal(t, []string{"  ok       silence         3", ""}, screen(t, ascii(err.String()), 48))
	l.End()
	require.Equal(t, []string{""}, screen(t, ascii(err.String()), 48))
	l.End()
	require.Empty(t, out.String(), "progress is no result")
}

// ascii keeps one byte a column.
func ascii(text string) string { return strings.NewReplacer("…", "_", "→", ">").Replace(text) }

// TestLiveElsewhere: a line for what changed, none for what did not, none for a countdown, nothing that moves a cursor.
func TestLiveElsewhere(t *testing.T) {
	var err bytes.Buffer
	term := New(strings.NewReader(""), &bytes.Buffer{}, &err)
	l := term.NewLive()
	node := checklist.New(checklist.Node, checklist.OK, "in step", "")
	for _, silence := range []string{"1 of 3", "1 of 3", "2 of 3", "2 of 3"} {
		l.Show([]checklist.Line{node, checklist.New(checklist.Silence, checklist.Waiting, silence, "")},
			"waiting, for so long")
	}
	l.End()
	require.Equal(t, "  ok       node            in step\n  waiting  silence         1 of 3\n  waiting  silence      "+
		"   2 of 3\n", err.String())
}
