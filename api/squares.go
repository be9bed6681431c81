package api

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"highwater/internal/history"
	"highwater/internal/words"
	"highwater/operate"
)

// The squares stand in rows, the newest level last.
const (
	columns = 25
	pitch   = 8 // of a square with its gap
)

// maxSaid bounds the levels that are named below the squares.
const maxSaid = 6

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
		state, n := shown(s.Squares[i]), run(s.Squares, i)
		if lines[state] == nil {
			lines[state] = &strings.Builder{}
		}
		x, y, width := i%columns*pitch, i/columns*pitch, n*pitch
		fmt.Fprintf(lines[state], "M%d %dh%dv%dh-%dz", x, y, width, pitch, width)
		counts[state] += n
		i += n
	}
	for _, word := range legend {
		if n := counts[word]; n > 0 {
			c.Paths = append(c.Paths, path{classOf(word), lines[word].String()})
			c.Counts = append(c.Counts, count{classOf(word), word, n})
		}
	}
	c.Said = said(s.Squares)
	return c
}

// run is the number of squares of one state from i on, in one row.
func run(squares []history.Square, i int) int {
	n := 1
	for (i+n)%columns != 0 && i+n < len(squares) && shown(squares[i+n]) == shown(squares[i]) {
		n++
	}
	return n
}

// missed is the word of a right that the chain shows nothing of.
const missed = "missed on chain"

// shown is the word of a square: on chain nothing counts but the chain.
func shown(q history.Square) string {
	if q.Missed {
		return missed
	}
	return q.State.String()
}

// legend has the words of squares in their order.
var legend = func() []string {
	out := []string{}
	for _, state := range history.States {
		out = append(out, state.String())
	}
	return slices.Insert(out, len(out)-1, missed)
}()

// tiles are the drawings of the squares, by word, in a square of eight. The shapes tell the words without the colours.
var tiles = map[string]string{
	history.Signed.String():   "M0 0h7v7h-7z",
	history.Replayed.String(): "M0 0h7v7h-7zM2 2v3h3v-3z",                                          // a frame
	history.Refused.String():  "M0 2.5h7v2.5h-7z",                                                  // a bar
	history.Conflict.String(): "M0 1L1 0L3.5 2.5L6 0L7 1L4.5 3.5L7 6L6 7L3.5 4.5L1 7L0 6L2.5 3.5z", // a cross
	history.Failed.String():   "M3.5 0L7 7h-7z",                                                    // a triangle
	history.Fenced.String():   "M0 0h7v7h-7zM1 1v5h5v-5z",                                          // a thin frame
	missed:                    "M3.5 0L7 3.5L3.5 7L0 3.5zM3.5 2L2 3.5L3.5 5L5 3.5z",                // a diamond
	history.None.String():     "M2.5 2.5h2v2h-2z",                                                  // a dot
}

// Tiles are the drawings of all words.
func (v pageView) Tiles() (out []path) {
	for _, word := range legend {
		out = append(out, path{classOf(word), tiles[word]})
	}
	return out
}

func classOf(word string) string { return strings.ReplaceAll(word, " ", "-") }

// said names the newest levels without a signature for which somebody asked.
func said(squares []history.Square) (out []string) {
	for i := len(squares) - 1; i >= 0 && len(out) < maxSaid; i-- {
		q := squares[i]
		if q.Missed {
			out = append(out, missedText(q))
			continue
		}
		switch q.State {
		case history.Refused, history.Failed, history.Conflict, history.Fenced:
			out = append(out, fmt.Sprintf("level %d, round %d: %s at %s UTC (%s)", q.Level, q.Round, q.State,
				q.At.UTC().Format("15:04:05"), q.Reason))
		case history.None, history.Replayed, history.Signed:
		}
	}
	return out
}

// missedText tells of a missed right, and what happened here.
func missedText(q history.Square) string {
	switch {
	case q.State == history.None:
		return fmt.Sprintf("level %d: missed on chain; nobody asked for a signature", q.Level)
	case q.Reason != "":
		return fmt.Sprintf("level %d: missed on chain; %s here (%s)", q.Level, q.State, q.Reason)
	}
	return fmt.Sprintf("level %d: missed on chain; %s here at %s UTC, in %s", q.Level, q.State,
		q.At.UTC().Format("15:04:05"), inMillis(q.TookUS))
}

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
func (c chart) Times() string {
	l := c.Latency
	if l.Signatures == 0 {
		return "no signature yet"
	}
	return fmt.Sprintf("p50 %s, p99 %s; device %.0f %%, disk %.0f %%", inMillis(l.P50US), inMillis(l.P99US),
		100*l.Device, 100*l.Disk)
}

// inMillis is a time for people: "0.8 ms", "12 ms".
func inMillis(micros uint32) string {
	d := time.Duration(micros) * time.Microsecond
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.1f ms", d.Seconds()*1000)
	}
	return fmt.Sprintf("%d ms", d.Milliseconds())
}
