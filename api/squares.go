package api

import (
	"fmt"
	"html/template"
	"strings"

	"highwater/internal/history"
	"highwater/internal/words"
	"highwater/operate"
	"highwater/operate/glance"
)

// The squares stand in rows, the newest level last.
const (
	columns = 25
	pitch   = 8 // of a square with its gap
)

// chart is the history of a key and kind as shown.
type chart struct {
	history.Series
	Alias    string
	From, To int32
	Paths    []path
	Said     []string // the newest levels with trouble
	Counts   []count
	Height   int
}

// path draws all squares of one state: a rectangle for each run of squares, filled with the tile of the state.
type path struct {
	Class string
	D     string
}

// count is the number of squares of a state.
type count struct {
	Class, Word string
	N           int
}

func charts(series []history.Series, keys []operate.KeyRow) []chart {
	aliases := map[string]string{}
	for _, k := range keys {
		aliases[k.PKH.String()] = words.ShortAlias(k.Alias)
	}
	out := make([]chart, 0, len(series))
	for _, s := range series {
		if len(s.Squares) > 0 {
			out = append(out, chartOf(s, aliases[s.PKH.String()]))
		}
	}
	return out
}

func chartOf(s history.Series, alias string) chart {
	c := chart{Series: s, Alias: alias, From: s.Squares[0].Level, To: s.Squares[len(s.Squares)-1].Level}
	rows := (len(s.Squares) + columns - 1) / columns
	c.Height = rows * pitch
	lines, counts := map[string]*strings.Builder{}, map[string]int{}
	for i := 0; i < len(s.Squares); {
		state, n := glance.Word(s.Squares[i]), run(s.Squares, i)
		if lines[state] == nil {
			lines[state] = &strings.Builder{}
		}
		x, y, width := i%columns*pitch, i/columns*pitch, n*pitch
		fmt.Fprintf(lines[state], "M%d %dh%dv%dh-%dz", x, y, width, pitch, width)
		counts[state] += n
		i += n
	}
	for _, word := range glance.Legend {
		if n := counts[word]; n > 0 {
			c.Paths = append(c.Paths, path{classOf(word), lines[word].String()})
			c.Counts = append(c.Counts, count{classOf(word), word, n})
		}
	}
	c.Said = glance.Said(s.Squares)
	return c
}

// run is the number of squares of one state from i on, in one row.
func run(squares []history.Square, i int) int {
	n := 1
	for (i+n)%columns != 0 && i+n < len(squares) && glance.Word(squares[i+n]) == glance.Word(squares[i]) {
		n++
	}
	return n
}

// tiles are the drawings of the squares, by word, in a square of eight. The shapes tell the words without the colours.
var tiles = map[string]string{
	history.Signed.String():   "M0 0h7v7h-7z",
	history.Replayed.String(): "M0 0h7v7h-7zM2 2v3h3v-3z",                                          // a frame
	history.Refused.String():  "M0 2.5h7v2.5h-7z",                                                  // a bar
	history.Conflict.String(): "M0 1L1 0L3.5 2.5L6 0L7 1L4.5 3.5L7 6L6 7L3.5 4.5L1 7L0 6L2.5 3.5z", // a cross
	history.Failed.String():   "M3.5 0L7 7h-7z",                                                    // a triangle
	history.Fenced.String():   "M0 0h7v7h-7zM1 1v5h5v-5z",                                          // a thin frame
	glance.Missed:             "M3.5 0L7 3.5L3.5 7L0 3.5zM3.5 2L2 3.5L3.5 5L5 3.5z",                // a diamond
	history.None.String():     "M2.5 2.5h2v2h-2z",                                                  // a dot
}

// Tiles are the drawings of all words.
func (v pageView) Tiles() (out []path) {
	for _, word := range glance.Legend {
		out = append(out, path{classOf(word), tiles[word]})
	}
	return out
}

func classOf(word string) string { return strings.ReplaceAll(word, " ", "-") }

// Label tells the squares in words, for a screen reader.
func (c chart) Label() string {
	words := make([]string, 0, len(c.Counts))
	for _, n := range c.Counts {
		words = append(words, fmt.Sprintf("%d %s", n.N, n.Word))
	}
	return fmt.Sprintf("levels %d to %d: %s", c.From, c.To, strings.Join(words, ", "))
}

// Draw gives a path of digits and letters to the template.
func (p path) Draw() template.HTMLAttr {
	return template.HTMLAttr(`d="` + p.D + `"`) //nolint:gosec // of numbers
}

// Times are the percentiles with the shares of device and disk.
func (c chart) Times() string { return glance.Times(c.Latency) }
